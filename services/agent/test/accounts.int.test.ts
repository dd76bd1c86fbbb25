import { randomBytes } from 'node:crypto'
import { newId } from '@postern/ids'
import { createSilentLog } from '@postern/telemetry/testing'
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest'
import type { AccountOrder } from '../src/account/account.ts'
import { createAccountKeeper } from '../src/account/account-keeper.ts'
import type { AccountReport } from '../src/account/account-reports.ts'
import { clearAway } from '../src/account/clear-away.ts'
import { type AccountToken, createClusterAccounts } from '../src/account/cluster-accounts.ts'
import { createClusterObjects } from '../src/account/cluster-objects.ts'
import { createSweep } from '../src/account/sweep.ts'
import { createKubeClient, KubeError } from '../src/adapters/kube-client.ts'
import { type Kubernetes, openKubernetes } from '../src/adapters/open-kubernetes.ts'
import { selfTest } from '../src/status/self-test.ts'
import { createUpstreamPool } from '../src/upstream/upstream-pool.ts'
import { type AgentCluster, startAgentCluster } from './agent-cluster.ts'

const HOUR_MS = 3_600_000
let cluster: AgentCluster
let kubernetes: Kubernetes
const closing: (() => void)[] = []

beforeAll(async () => {
  cluster = await startAgentCluster()
  kubernetes = await openKubernetes(cluster)
  await cluster.kubectl(['create', 'namespace', 'red'])
  await cluster.kubectl(['create', 'namespace', 'blue'])
})

afterEach(() => {
  for (const close of closing.splice(0)) close()
})

afterAll(async () => {
  kubernetes?.close()
  await cluster?.stop()
})

/** The part of an agent that keeps accounts, with its own rights in the cluster. */
function startKeeper(options: { isSynced?: () => boolean; agentId?: string } = {}) {
  const reports: AccountReport[] = []
  const ended: string[] = []
  const log = createSilentLog()
  const now = () => new Date()
  const agentId = options.agentId ?? 'a1'
  const objects = createClusterObjects({ kube: kubernetes.client })
  const accounts = createClusterAccounts({ kube: kubernetes.client, objects, agentId, now })
  const keeper = createAccountKeeper({
    cluster: accounts,
    report: (report) => reports.push(report),
    onEnded: (sessionId) => ended.push(sessionId),
    log,
    now,
  })
  const { signal } = new AbortController()
  const sweep = createSweep({
    objects,
    keeper,
    isSynced: options.isSynced ?? (() => true),
    now,
    log,
    signal,
    doubtMs: 10,
  })
  closing.push(() => keeper.close())
  const clear = async () => await clearAway({ objects, keeper, agentId, log, signal })
  return { keeper, sweep, reports, ended, clear }
}

function orderFor(change: Partial<AccountOrder> = {}): AccountOrder {
  return {
    sessionId: newId('session'),
    version: 1,
    wanted: true,
    account: `ptr-test-${randomBytes(6).toString('hex')}`,
    userId: 'u1',
    userName: 'alice@example.com',
    bindings: [{ clusterRole: 'postern-view', namespaces: ['red'] }],
    expiresAtMs: Date.now() + HOUR_MS,
    ...change,
  }
}

async function reported(reports: readonly AccountReport[], kind: string, version = 1) {
  await vi.waitFor(
    () =>
      expect(reports.at(-1)).toMatchObject({
        version,
        result: { kind },
      }),
    { timeout: 10_000, interval: 20 },
  )
}

async function provisioned(order: AccountOrder) {
  const agent = startKeeper()
  agent.keeper.order(order)
  await reported(agent.reports, 'provisioned', order.version)
  const token = agent.keeper.token(order.sessionId)
  if (token === undefined) throw new Error('provisioned without a token')
  return { ...agent, token }
}

/** kube-apiserver as the account reaches it. */
function as(token: AccountToken) {
  const pool = createUpstreamPool({ server: kubernetes.server, connectionsMax: 4 })
  closing.push(() => pool.close())
  const kube = createKubeClient({
    pool,
    host: kubernetes.host,
    token: () => Promise.resolve(token.value),
  })
  return async (method: 'GET' | 'POST' | 'DELETE', path: string, body?: object) => {
    try {
      await kube.request(method, path, body)
      return 200
    } catch (error) {
      if (error instanceof KubeError) return error.status
      throw error
    }
  }
}

async function objectsOf(sessionId: string): Promise<string[]> {
  const kinds = 'serviceaccounts,secrets,rolebindings,clusterrolebindings'
  const selector = `postern.dev/session=${sessionId}`
  const names = await cluster.kubectl(['get', kinds, '-A', '-l', selector, '-o', 'name'])
  return names.split('\n').filter((name) => name !== '')
}

test('an account may do what its order binds it to, and nothing else', async () => {
  const { token } = await provisioned(orderFor())
  const ask = as(token)
  expect(await ask('GET', '/api/v1/namespaces/red/pods')).toBe(200)
  expect(await ask('GET', '/api/v1/namespaces/blue/pods')).toBe(403)
  expect(await ask('GET', '/api/v1/namespaces/red/secrets')).toBe(403)
  expect(await ask('GET', '/api/v1/namespaces/postern-jit/serviceaccounts')).toBe(403)
})

test('a token is refused as soon as the secret that it is bound to is gone', async () => {
  const order = orderFor()
  const { token } = await provisioned(order)
  const ask = as(token)
  expect(await ask('GET', '/api/v1/namespaces/red/pods')).toBe(200)
  await cluster.kubectl(['delete', 'secret', order.account, '-n', 'postern-jit'])
  // kube-apiserver remembers a token that it has accepted for ten seconds.
  await vi.waitFor(async () => expect(await ask('GET', '/api/v1/namespaces/red/pods')).toBe(401), {
    timeout: 20_000,
    interval: 500,
  })
})

test('every object names its session, its user and its end', async () => {
  const order = orderFor()
  await provisioned(order)
  const text = await cluster.kubectl([
    'get',
    'serviceaccount',
    order.account,
    '-n',
    'postern-jit',
    '-o',
    'json',
  ])
  expect(JSON.parse(text).metadata).toMatchObject({
    labels: {
      'postern.dev/session': order.sessionId,
      'app.kubernetes.io/managed-by': 'postern-agent',
    },
    annotations: {
      'postern.dev/user': 'alice@example.com',
      'postern.dev/expires-at': new Date(order.expiresAtMs).toISOString(),
    },
  })
})

test('an ended session leaves nothing in the cluster', async () => {
  const bindings = [
    { clusterRole: 'postern-view', namespaces: [] },
    { clusterRole: 'postern-edit', namespaces: ['red', 'blue'] },
  ]
  const order = orderFor({ bindings })
  const { keeper, reports, ended } = await provisioned(order)
  expect(await objectsOf(order.sessionId)).toHaveLength(5)
  keeper.order({ ...order, version: 2, wanted: false })
  expect(keeper.token(order.sessionId)).toBeUndefined()
  expect(ended).toEqual([order.sessionId])
  await reported(reports, 'removed', 2)
  expect(await objectsOf(order.sessionId)).toEqual([])
})

test('a new version of an order replaces the bindings of the old one', async () => {
  const order = orderFor({ bindings: [{ clusterRole: 'postern-edit', namespaces: ['red'] }] })
  const { keeper, reports, token } = await provisioned(order)
  const create = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { generateName: 'x-' } }
  const ask = as(token)
  expect(await ask('POST', '/api/v1/namespaces/red/configmaps', create)).toBe(200)
  const narrower = [{ clusterRole: 'postern-view', namespaces: ['blue'] }]
  keeper.order({ ...order, version: 2, bindings: narrower })
  await reported(reports, 'provisioned', 2)
  await vi.waitFor(
    async () => expect(await ask('POST', '/api/v1/namespaces/red/configmaps', create)).toBe(403),
    { timeout: 5_000, interval: 50 },
  )
  expect(await ask('GET', '/api/v1/namespaces/blue/pods')).toBe(200)
})

test('a role that the agent may not bind is reported, with the reason', async () => {
  const order = orderFor({ bindings: [{ clusterRole: 'cluster-admin', namespaces: [] }] })
  const { keeper, reports } = startKeeper()
  keeper.order(order)
  await reported(reports, 'failed')
  expect(reports.at(-1)?.result).toMatchObject({ reason: expect.stringMatching(/bind|permission/) })
  expect(keeper.token(order.sessionId)).toBeUndefined()
})

test('what a killed agent left behind is removed by the next one, and nothing else', async () => {
  const [orphan, kept] = [orderFor(), orderFor()]
  const killed = startKeeper()
  killed.keeper.order(orphan)
  await reported(killed.reports, 'provisioned')
  killed.keeper.close()
  await cluster.kubectl(['create', 'serviceaccount', 'of-somebody-else', '-n', 'postern-jit'])
  const foreign = ['create', 'rolebinding', 'ptr-foreign', '-n', 'red', '--clusterrole=view']
  await cluster.kubectl([...foreign, '--user=someone'])
  await cluster.kubectl([
    'label',
    'rolebinding',
    'ptr-foreign',
    '-n',
    'red',
    'postern.dev/session=x',
  ])

  const next = startKeeper()
  next.keeper.order(kept)
  await reported(next.reports, 'provisioned')
  await next.sweep()
  expect(await objectsOf(orphan.sessionId)).toEqual([])
  expect(await objectsOf(kept.sessionId)).toHaveLength(3)
  const others = [
    'serviceaccount/of-somebody-else',
    'rolebinding.rbac.authorization.k8s.io/ptr-foreign',
  ]
  const names = await cluster.kubectl(['get', 'serviceaccounts,rolebindings', '-A', '-o', 'name'])
  for (const name of others) expect(names.split('\n')).toContain(name)
})

test('without the word of the session service nothing is removed but what has expired', async () => {
  const [order, short] = [orderFor(), orderFor({ expiresAtMs: Date.now() + 3_000 })]
  const killed = startKeeper()
  for (const one of [order, short]) {
    killed.keeper.order(one)
    await reported(killed.reports, 'provisioned')
  }
  killed.keeper.close()
  const deaf = startKeeper({ isSynced: () => false })
  await deaf.sweep()
  expect(await objectsOf(order.sessionId)).toHaveLength(3)
  await vi.waitFor(
    async () => {
      await deaf.sweep()
      expect(await objectsOf(short.sessionId)).toEqual([])
    },
    { timeout: 60_000, interval: 200 },
  )
  expect(await objectsOf(order.sessionId)).toHaveLength(3)
})

test('an agent that was removed leaves nothing that it made, also in a life before, and all that another made', async () => {
  const own = [
    orderFor(),
    orderFor({ bindings: [{ clusterRole: 'postern-view', namespaces: [] }] }),
  ]
  const before = startKeeper({ agentId: 'gone' })
  const agent = startKeeper({ agentId: 'gone' })
  const other = startKeeper({ agentId: 'other' })
  const kept = orderFor()
  for (const [keeper, order] of [
    [before, own[0]],
    [agent, own[1]],
    [other, kept],
  ] as const) {
    if (order === undefined) throw new Error('there is no order')
    keeper.keeper.order(order)
    await reported(keeper.reports, 'provisioned')
  }
  before.keeper.close()
  // One that is being made at that moment goes with the others.
  const late = orderFor()
  agent.keeper.order(late)
  expect(await agent.clear()).toBe(true)
  for (const { sessionId } of [...own, late]) expect(await objectsOf(sessionId)).toEqual([])
  expect(await objectsOf(kept.sessionId)).toHaveLength(3)
})

test('what somebody deletes under a running session is made again', async () => {
  const order = orderFor()
  const { sweep, reports } = await provisioned(order)
  const before = reports.length
  await cluster.kubectl(['delete', 'rolebinding', `${order.account}-postern-view`, '-n', 'red'])
  await sweep()
  await vi.waitFor(() => expect(reports.length).toBeGreaterThan(before), { timeout: 5_000 })
  expect(await objectsOf(order.sessionId)).toHaveLength(3)
})

test('an account ends at its time though nobody says so', async () => {
  const order = orderFor({ expiresAtMs: Date.now() + 1_500 })
  const { reports, ended } = await provisioned(order)
  await reported(reports, 'removed')
  expect(ended).toEqual([order.sessionId])
  expect(await objectsOf(order.sessionId)).toEqual([])
})

test('two agents of a cluster keep one account between them', async () => {
  const order = orderFor()
  const [one, two] = [startKeeper(), startKeeper()]
  one.keeper.order(order)
  two.keeper.order(order)
  await Promise.all([reported(one.reports, 'provisioned'), reported(two.reports, 'provisioned')])
  for (const { keeper } of [one, two]) {
    const token = keeper.token(order.sessionId)
    if (token === undefined) throw new Error('no token')
    expect(await as(token)('GET', '/api/v1/namespaces/red/pods')).toBe(200)
  }
  expect(await objectsOf(order.sessionId)).toHaveLength(3)
})

test('the rights of the manifest are enough for the agent, and no more than it needs', async () => {
  expect(await selfTest(kubernetes.client)).toEqual([])
  const forbidden: [method: 'GET' | 'POST', path: string, body?: object][] = [
    ['GET', '/api/v1/namespaces/red/secrets'],
    ['GET', '/api/v1/namespaces/postern-system/secrets'],
    ['GET', '/api/v1/namespaces/red/pods'],
    ['POST', '/api/v1/namespaces/red/serviceaccounts/default/token', { kind: 'TokenRequest' }],
  ]
  for (const [method, path, body] of forbidden) {
    await expect(kubernetes.client.request(method, path, body)).rejects.toMatchObject({
      status: 403,
    })
  }
})

test.each([
  {
    name: 'without the label of a session',
    labels: {},
    subject: 'ptr-x',
    namespace: 'postern-jit',
  },
  {
    name: 'of an account elsewhere',
    labels: { 'postern.dev/session': 'x' },
    subject: 'default',
    namespace: 'red',
  },
])('the agent cannot make a binding $name', async ({ labels, subject, namespace }) => {
  const binding = {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRoleBinding',
    metadata: { name: `ptr-${randomBytes(4).toString('hex')}`, labels },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'postern-view' },
    subjects: [{ kind: 'ServiceAccount', name: subject, namespace }],
  }
  const path = '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings'
  await expect(kubernetes.client.request('POST', path, binding)).rejects.toThrow(/Postern agent/)
})

test('the agent cannot delete a binding that it did not make', async () => {
  await cluster.kubectl([
    'create',
    'clusterrolebinding',
    'precious',
    '--clusterrole=view',
    '--user=x',
  ])
  const path = '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/precious'
  await expect(kubernetes.client.request('DELETE', path)).rejects.toThrow(/Postern agent/)
})

test('an account with wide rights still cannot touch the namespaces of Postern', async () => {
  const order = orderFor()
  const { token } = await provisioned(order)
  const subject = `--serviceaccount=postern-jit:${order.account}`
  await cluster.kubectl([
    'create',
    'clusterrolebinding',
    order.account,
    '--clusterrole=cluster-admin',
    subject,
  ])
  const ask = as(token)
  await vi.waitFor(
    async () => expect(await ask('GET', '/api/v1/namespaces/blue/secrets')).toBe(200),
    { timeout: 5_000 },
  )
  const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'mine' } }
  expect(await ask('POST', '/api/v1/namespaces/postern-jit/serviceaccounts', account)).not.toBe(200)
  const request = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: {} }
  const path = `/api/v1/namespaces/postern-jit/serviceaccounts/${order.account}/token`
  expect(await ask('POST', path, request)).not.toBe(200)
})
