import { setTimeout } from 'node:timers/promises'
import { z } from 'zod'
import { type ApiClient, ApiError } from '../platform/api-client.ts'
import type { Kubectl } from './kubectl.ts'

const ONLINE_MS_MAX = 60_000
const LOOK_AGAIN_MS = 100
const UNAVAILABLE = 503
const clusterAnswer = z.object({
  cluster: z.object({
    state: z.string(),
    agents: z.array(z.object({ lastSeenAt: z.coerce.date().optional() })).default([]),
  }),
})
const ONE_REPLICA = /^ {2}replicas: 1$/m

export type InstallLevel = 'INSTALL_LEVEL_EDIT' | 'INSTALL_LEVEL_ADMIN'

type Membership = {
  readonly api: ApiClient
  readonly kubectl: Kubectl
  readonly name: string
}

/**
 * Registers the cluster under the name, unless it is, and joins it with one `kubectl apply -f`, unless
 * its agent comes back by itself. Resolves when an agent is heard of after `since`, which is the call when left out.
 */
export async function joinCluster(
  options: Membership & {
    labels: Readonly<Record<string, string>>
    installLevel: InstallLevel
    since?: Date
  },
): Promise<void> {
  const { kubectl, since = new Date() } = options
  await prepareCluster({ ...options, agentInPods: true })
  await untilHeard({ ...options, since }, async () => {
    const logs = await kubectl.run(['logs', ...AGENT, '--tail=20'])
    return logs.stdout + logs.stderr
  })
}

const AGENT = ['-n', 'postern-system', 'deploy/postern-agent']
const IDENTITY = ['-n', 'postern-system', 'secret/postern-agent-identity']

/**
 * Registers the cluster, and applies the agent's manifest there, unless an agent has joined from it
 * before. Without `agentInPods` the Deployment has no replicas. Answers the manifest that it applied.
 */
export async function prepareCluster(
  options: Membership & {
    labels: Readonly<Record<string, string>>
    installLevel: InstallLevel
    agentInPods: boolean
  },
): Promise<string | undefined> {
  const { api, kubectl, name, labels, installLevel, agentInPods } = options
  const joined = await hasAgent(api, name)
  if (joined === undefined) await api.call('POST', '/v1/clusters', { name, labels, installLevel })
  // A cluster that was made anew under the name of a former one knows nothing of its agent.
  const isKept = joined === true && (await kubectl.run(['get', ...IDENTITY])).code === 0
  if (isKept) return undefined
  const { manifest } = await api.call('POST', `/v1/clusters/${name}/join-manifest`, {})
  const text = agentInPods ? String(manifest) : withoutReplicas(String(manifest))
  await kubectl.ok(['apply', '-f', '-'], text)
  return text
}

/**
 * Waits until an agent of the cluster is heard of: a cluster is online for a while after its agent was stopped.
 * @throws Error with the agent's last words, in time
 */
export async function untilHeard(
  { api, name, since }: Pick<Membership, 'api' | 'name'> & { since: Date },
  lastWords: () => Promise<string>,
): Promise<void> {
  const deadline = Date.now() + ONLINE_MS_MAX
  while (!(await isHeard(api, name, since))) {
    if (Date.now() > deadline) {
      throw new Error(`the agent of ${name} did not come:\n${await lastWords()}`)
    }
    await setTimeout(LOOK_AGAIN_MS)
  }
}

/** Nobody has been heard of while the service that knows cannot be asked. */
async function isHeard(api: ApiClient, name: string, since: Date): Promise<boolean> {
  try {
    return (await clusterOf(api, name)).seenAt.some((at) => at > since)
  } catch (error) {
    if (error instanceof ApiError && error.status === UNAVAILABLE) return false
    throw error
  }
}

function withoutReplicas(manifest: string): string {
  if (!ONE_REPLICA.test(manifest)) throw new Error('the manifest of the agent has no "replicas: 1"')
  return manifest.replace(ONE_REPLICA, '  replicas: 0')
}

/** `undefined` for a cluster that is not registered. */
async function hasAgent(api: ApiClient, name: string): Promise<boolean | undefined> {
  try {
    return (await clusterOf(api, name)).state !== 'CLUSTER_STATE_PENDING'
  } catch (error) {
    if (error instanceof ApiError && error.reason === 'CLUSTER_NOT_FOUND') return undefined
    throw error
  }
}

async function clusterOf(api: ApiClient, name: string) {
  const { cluster } = clusterAnswer.parse(await api.call('GET', `/v1/clusters/${name}`))
  const seenAt = cluster.agents.flatMap(({ lastSeenAt }) => lastSeenAt ?? [])
  return { state: cluster.state, seenAt }
}
