import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { eventually, exercisePods, kubeconfigFor, type Step, type Way } from '@postern/bootstrap'
import { CLUSTER, type E2eWorld, LABELS, startE2eWorld } from '@postern/e2e/support'

/** A way that can also be gone without a client: where the API is, and who is there. */
export type ClientWay = Way & {
  /** Of the API; ends without a slash. */
  readonly url: string
  readonly ca: string
  readonly token: string
  /** Of the cluster itself. */
  readonly auditLog: string
}

/** A platform, a cluster, and somebody who may use both ways to it. */
export type ClientsWorld = E2eWorld & {
  /** Both ways, each in a new namespace of that name. */
  openWays(name: string): Promise<Ways>
}

export type Ways = {
  readonly direct: ClientWay
  readonly postern: ClientWay
  /** Removes both namespaces, and does not wait for it. */
  close(): Promise<void>
}

const USER = 'tester'
const DIRECT_ACCOUNT = ['--namespace', 'default', 'direct'] as const
const READY_MS_MAX = 60_000
const EVERY_VERB = ['*']

/** What the clients need, within what the install level "edit" brings into a cluster. */
const RULES = [
  {
    verbs: EVERY_VERB,
    apiGroups: [''],
    resources: ['pods', 'configmaps', 'services', 'secrets', 'serviceaccounts'],
  },
  { verbs: ['get'], apiGroups: [''], resources: ['pods/log'] },
  {
    verbs: ['get', 'create'],
    apiGroups: [''],
    resources: ['pods/exec', 'pods/attach', 'pods/portforward'],
  },
  { verbs: ['get', 'update', 'patch'], apiGroups: [''], resources: ['pods/ephemeralcontainers'] },
  { verbs: EVERY_VERB, apiGroups: ['apps'], resources: ['deployments', 'replicasets'] },
  { verbs: ['get', 'update', 'patch'], apiGroups: ['apps'], resources: ['deployments/scale'] },
  { verbs: EVERY_VERB, apiGroups: ['coordination.k8s.io'], resources: ['leases'] },
  { verbs: ['get', 'list', 'watch'], apiGroups: [''], resources: ['namespaces'] },
  { verbs: EVERY_VERB, apiGroups: ['', 'events.k8s.io'], resources: ['events'] },
]

export async function startClientsWorld(step?: Step): Promise<ClientsWorld> {
  const world = await startE2eWorld(step)
  try {
    return await withTester(world)
  } catch (error) {
    await world.stop()
    throw error
  }
}

async function withTester(world: E2eWorld): Promise<ClientsWorld> {
  const { api } = world.admin
  await world.createUser(USER)
  await api.call('POST', '/v1/roles', { name: USER, rules: RULES })
  const terms = {
    subjects: [`user:${USER}`],
    role: USER,
    clusterSelector: { matchLabels: LABELS },
    namespaces: { all: true },
  }
  await api.call('POST', '/v1/grants', { name: USER, terms })
  const { secret: token } = await world.token(USER)
  await eventually('the first request of the tester', READY_MS_MAX, async () => {
    const { status, text } = await world.ask(token, { path: '/api/v1/namespaces/default/pods' })
    if (status !== 200) throw new Error(text)
  })

  const cluster = world.cluster(CLUSTER)
  const admin = cluster.kubectl
  await admin.ok(['create', 'serviceaccount', ...DIRECT_ACCOUNT])
  const binding = ['--clusterrole=cluster-admin', '--serviceaccount=default:direct']
  await admin.ok(['create', 'clusterrolebinding', 'direct', ...binding])
  const { auditLog } = cluster
  const direct = {
    auditLog,
    name: 'direct',
    kubeconfig: cluster.kubeconfig,
    url: cluster.server,
    ca: readFileSync(cluster.ca, 'utf8'),
    token: (await admin.ok(['create', 'token', '--duration=12h', ...DIRECT_ACCOUNT])).trim(),
  } as const
  const kubeconfig = join(world.dir, 'kubeconfig-tester')
  writeFileSync(kubeconfig, await kubeconfigFor(api, USER, CLUSTER), { mode: 0o600 })
  const url = `${world.platform.gatewayUrl}/clusters/${CLUSTER}`
  const postern = { auditLog, name: 'postern', kubeconfig, url, ca: world.ca, token } as const

  return {
    ...world,
    async openWays(name) {
      const dir = join(world.dir, name)
      mkdirSync(dir)
      const ways = {
        direct: { ...direct, dir, namespace: `${name}-d` },
        postern: { ...postern, dir, namespace: `${name}-p` },
      }
      const namespaces = Object.values(ways).map(({ namespace }) => namespace)
      for (const namespace of namespaces) await admin.ok(['create', 'namespace', namespace])
      return {
        ...ways,
        close: async () =>
          void (await admin.ok(['delete', 'namespace', ...namespaces, '--wait=false'])),
      }
    },
  }
}

/** The pods that exercises of streams talk to: "talk", "echo" and "web". */
export async function makePods(world: ClientsWorld, { direct, postern }: Ways): Promise<void> {
  const admin = world.cluster(CLUSTER).kubectl
  for (const { namespace } of [direct, postern]) {
    await admin.ok(['apply', '-n', namespace, '-f', '-'], exercisePods)
    const pods = ['pod/talk', 'pod/echo', 'pod/web']
    await admin.ok(['wait', '-n', namespace, '--for=condition=Ready', '--timeout=60s', ...pods])
  }
}
