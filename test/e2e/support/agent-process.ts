import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseAllDocuments } from 'yaml'
import { CLUSTER, type E2eWorld } from './e2e-world.ts'
import { type ServiceProcess, spawnService } from './service-process.ts'
import { words } from './words.ts'

/** What a join manifest tells an agent. */
export type JoinFacts = {
  readonly token: string
  readonly relays: string
  readonly roots: string
  readonly trustDomain: string
}

/** Makes a manifest for the cluster and reads what stands in it. */
export async function joinFacts(
  world: { readonly admin: Pick<E2eWorld['admin'], 'api'> },
  cluster: string,
): Promise<JoinFacts> {
  const path = `/v1/clusters/${cluster}/join-manifest`
  const { manifest } = await world.admin.api.call('POST', path, {})
  const parsed = parseAllDocuments(String(manifest))
  const values = (Array.isArray(parsed) ? parsed : []).map((document): unknown => document.toJS())
  const text = (kind: string, field: string, name: string): string => {
    for (const value of values) {
      const found = valueAt(value, ['kind']) === kind ? valueAt(value, [field, name]) : undefined
      if (typeof found === 'string') return found
    }
    throw new Error(`the manifest has no ${name}`)
  }
  return {
    token: text('Secret', 'stringData', 'token'),
    relays: text('ConfigMap', 'data', 'POSTERN_AGENT_RELAYS'),
    roots: text('ConfigMap', 'data', 'POSTERN_AGENT_ROOTS'),
    trustDomain: text('ConfigMap', 'data', 'POSTERN_TRUST_DOMAIN'),
  }
}

function valueAt(value: unknown, path: readonly string[]): unknown {
  const [name, ...rest] = path
  if (name === undefined) return value
  if (typeof value !== 'object' || value === null) return undefined
  return valueAt(new Map(Object.entries(value)).get(name), rest)
}

/** A namespace in which an agent may keep its identity, and do nothing else. */
export async function prepareAgentNamespace(world: E2eWorld, namespace: string): Promise<void> {
  const { kubectl } = world.cluster(CLUSTER)
  await kubectl.ok(words(`create namespace ${namespace}`))
  await kubectl.ok(words(`create serviceaccount postern-agent -n ${namespace}`))
  await kubectl.ok(
    words(`create role identity -n ${namespace} --verb=create,get,update,list --resource=secrets`),
  )
  await kubectl.ok(
    words(
      `create rolebinding identity -n ${namespace} --role=identity --serviceaccount=${namespace}:postern-agent`,
    ),
  )
}

/** The agent as a pod of that namespace would run it, told these things. */
export async function startAgentProcess(
  world: E2eWorld,
  namespace: string,
  facts: JoinFacts,
): Promise<ServiceProcess> {
  const cluster = world.cluster(CLUSTER)
  const token = await cluster.kubectl.ok(words(`create token postern-agent -n ${namespace}`))
  const ca = readFileSync(cluster.ca, 'utf8')
  const kubernetes = new URL(cluster.server).host
  const dir = join(world.dir, namespace)
  return spawnAgent({ dir, namespace, token: token.trim(), ca, kubernetes, facts })
}

/** An agent that finds in its folder what Kubernetes would mount there. */
export function spawnAgent(order: {
  readonly dir: string
  readonly namespace: string
  readonly token: string
  readonly ca: string
  /** host:port of kube-apiserver. */
  readonly kubernetes: string
  readonly facts: JoinFacts
  readonly settings?: Readonly<Record<string, string>>
}): ServiceProcess {
  const { dir, namespace, token, ca, kubernetes, facts } = order
  mkdirSync(dir, { recursive: true })
  const files = { namespace, token, 'ca.crt': ca }
  for (const [name, text] of Object.entries(files)) writeFileSync(join(dir, name), text)
  return spawnService('agent', {
    POSTERN_AGENT_CLUSTER: namespace,
    POSTERN_AGENT_RELAYS: facts.relays,
    POSTERN_AGENT_ROOTS: facts.roots,
    POSTERN_AGENT_JOIN_TOKEN: facts.token,
    POSTERN_AGENT_SERVICE_ACCOUNT_DIR: dir,
    POSTERN_AGENT_KUBERNETES: kubernetes,
    POSTERN_TRUST_DOMAIN: facts.trustDomain,
    ...order.settings,
  })
}
