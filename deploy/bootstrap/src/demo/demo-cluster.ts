import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import {
  buildKubeCluster,
  type KubeCluster,
  type KubeClusterPrograms,
  startKubeCluster,
} from '@postern/local-servers'
import { environment } from '../config.ts'
import { type ApiClient, ApiError } from '../platform/api-client.ts'
import { createKubectl, type Kubectl } from './kubectl.ts'

const AGENT_IMAGE = 'postern/agent:latest'
const ONLINE_MS_MAX = 60_000
const LOOK_AGAIN_MS = 100

/** What a container of the agent's image runs here: the agent from its sources, under this Node. */
const AGENT_COMMAND = [
  'env',
  // A pod's volumes are links below the folder it starts in.
  'POSTERN_AGENT_SERVICE_ACCOUNT_DIR=var/run/secrets/kubernetes.io/serviceaccount',
  environment.node,
  '--conditions=@postern/source',
  '--disable-warning=ExperimentalWarning',
  '--import',
  join(environment.root, 'services/agent/src/telemetry.ts'),
  join(environment.root, 'services/agent/src/main.ts'),
]

export type DemoCluster = KubeCluster & { readonly kubectl: Kubectl }

export function buildDemoCluster(): Promise<KubeClusterPrograms> {
  const { clusterSourceDir: sourceDir, toolsDir, path } = environment
  return buildKubeCluster({ sourceDir, toolsDir, path })
}

/** A real cluster on this machine, kept in its folder, in which the agent's own manifest works. */
export async function startDemoCluster(options: {
  dir: string
  programs: KubeClusterPrograms
}): Promise<DemoCluster> {
  const { dir, programs } = options
  const images = { [AGENT_IMAGE]: AGENT_COMMAND }
  const cluster = await startKubeCluster({ dir, programs, images })
  const kubectl = createKubectl({
    program: programs.kubectl,
    kubeconfig: cluster.kubeconfig,
    cacheDir: join(dir, 'kubectl-cache'),
  })
  return { ...cluster, kubectl }
}

/**
 * Registers the cluster under the name, unless it is, and joins it with one `kubectl apply -f`, unless
 * its agent comes back by itself. Resolves when an agent is there.
 */
export async function joinCluster(options: {
  api: ApiClient
  kubectl: Kubectl
  name: string
  labels: Readonly<Record<string, string>>
  installLevel: 'INSTALL_LEVEL_EDIT' | 'INSTALL_LEVEL_ADMIN'
}): Promise<void> {
  const { api, kubectl, name, labels, installLevel } = options
  const joined = await hasAgent(api, name)
  if (joined === undefined) await api.call('POST', '/v1/clusters', { name, labels, installLevel })
  if (joined !== true) {
    const { manifest } = await api.call('POST', `/v1/clusters/${name}/join-manifest`, {})
    await kubectl.ok(['apply', '-f', '-'], String(manifest))
  }
  const deadline = Date.now() + ONLINE_MS_MAX
  while ((await stateOf(api, name)) !== 'CLUSTER_STATE_ONLINE') {
    if (Date.now() > deadline) {
      const logs = await kubectl.run([
        'logs',
        '-n',
        'postern-system',
        'deploy/postern-agent',
        '--tail=20',
      ])
      throw new Error(`the agent of ${name} did not come:\n${logs.stdout}${logs.stderr}`)
    }
    await setTimeout(LOOK_AGAIN_MS)
  }
}

/** `undefined` for a cluster that is not registered. */
async function hasAgent(api: ApiClient, name: string): Promise<boolean | undefined> {
  try {
    return (await stateOf(api, name)) !== 'CLUSTER_STATE_PENDING'
  } catch (error) {
    if (error instanceof ApiError && error.reason === 'CLUSTER_NOT_FOUND') return undefined
    throw error
  }
}

async function stateOf(api: ApiClient, name: string): Promise<unknown> {
  const { cluster } = await api.call('GET', `/v1/clusters/${name}`)
  if (typeof cluster !== 'object' || cluster === null || !('state' in cluster)) return undefined
  return cluster.state
}
