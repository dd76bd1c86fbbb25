import { until } from '@postern/fixtures'
import { newId } from '@postern/ids'
import { openDoors, sweepRpcs } from '@postern/rpc/testing'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { type RunningTunnelBroker, runTunnelBroker } from './running-tunnel-broker.ts'

let broker: RunningTunnelBroker
let alice: { userId: string; as: { userToken: string } }
let auditor: { userToken: string }

beforeAll(async () => {
  broker = await runTunnelBroker({ postgresUrl: inject('postgresUrl') })
  alice = await broker.createUser('alice')
  auditor = (await broker.createUser('audrey', 'auditor')).as
  await (await broker.relay('r1')).registerRelay({
    agentAddress: 'relay.example:443',
    gatewayAddress: '10.0.0.1:8443',
  })
})

afterAll(async () => {
  await broker.stop()
})

async function createCluster(name: string, labels: Record<string, string> = {}) {
  const { cluster } = await broker.clusters.createCluster({ name, labels }, broker.root)
  if (cluster === undefined) throw new Error('no cluster was answered')
  return cluster
}

async function joinedAgent(name: string) {
  const { id } = await createCluster(name)
  const { agentId } = await broker.join(await broker.joinToken(name))
  return { clusterId: id, agent: await broker.agent(id, agentId) }
}

test('a user sees the clusters that a grant gives him something on, and no others', async () => {
  const { id } = await createCluster('usable', { env: 'dev' })
  await createCluster('hidden', { env: 'prod' })
  const { clusters } = broker
  expect((await clusters.listClusters({}, alice.as)).clusters).toEqual([])
  await expect(clusters.getCluster({ cluster: 'usable' }, alice.as)).rejects.toMatchObject({
    reason: 'CLUSTER_NOT_FOUND',
  })

  const roleId = newId('role')
  const grantId = newId('grant')
  const rule = {
    verbs: ['get'],
    apiGroups: [''],
    resources: ['pods'],
    resourceNames: [],
    nonResourceUrls: [],
  }
  await broker.others.policy.append(`role-${roleId}`, {
    type: 'RoleCreated',
    roleId,
    name: 'viewer',
    description: '',
    rules: [rule],
  })
  await broker.others.policy.append(`grant-${grantId}`, {
    type: 'GrantCreated',
    grantId,
    name: 'devs',
    terms: {
      subjects: [{ kind: 'user', id: alice.userId }],
      roleId,
      clusters: { clusterIds: [], labels: { matchLabels: { env: 'dev' }, matchExpressions: [] } },
      namespaces: { all: true, names: [] },
    },
  })
  await until(async () => (await clusters.listClusters({}, alice.as)).clusters.length > 0)
  const names = async () =>
    (await clusters.listClusters({}, alice.as)).clusters.map(({ name }) => name)
  expect(await names()).toEqual(['usable'])
  expect((await clusters.getCluster({ cluster: id }, alice.as)).cluster?.name).toBe('usable')
  await expect(clusters.getCluster({ cluster: 'hidden' }, alice.as)).rejects.toMatchObject({
    reason: 'CLUSTER_NOT_FOUND',
  })
  // A cluster that gets the label later is covered at once.
  await clusters.setClusterLabels({ cluster: 'hidden', labels: { env: 'dev' } }, broker.root)
  await until(async () => (await names()).length === 2)
  await clusters.deleteCluster({ cluster: 'hidden' }, broker.root)
  await until(async () => (await names()).length === 1)
})

test('an auditor sees every cluster and changes none', async () => {
  await createCluster('audited')
  const seen = (await broker.clusters.listClusters({ pageSize: 1000 }, auditor)).clusters
  expect(seen.map(({ name }) => name)).toContain('audited')
  for (const call of [
    broker.clusters.deleteCluster({ cluster: 'audited' }, auditor),
    broker.clusters.createJoinManifest({ cluster: 'audited' }, auditor),
    broker.clusters.createCluster({ name: 'x' }, auditor),
  ]) {
    await expect(call).rejects.toMatchObject({ code: 7, reason: 'PERMISSION_REQUIRED' })
  }
})

test('of ten who register one name at once, one does', async () => {
  const outcomes = await Promise.allSettled(
    Array.from({ length: 10 }, async () => await createCluster('contested')),
  )
  expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
  const refusals = outcomes.filter((outcome) => outcome.status === 'rejected')
  for (const { reason } of refusals) {
    expect(reason).toMatchObject({ code: 6, reason: 'CLUSTER_EXISTS' })
  }
})

test.each([
  {
    name: 'a name that is no DNS label',
    request: { name: 'Prod_EU' },
    reason: 'INVALID_CLUSTER_NAME',
  },
  {
    name: 'a label that is none',
    request: { name: 'a', labels: { 'a b': '' } },
    reason: 'INVALID_LABEL',
  },
  {
    name: 'an unknown level',
    request: { name: 'a', installLevel: 9 as never },
    reason: 'INSTALL_LEVEL',
  },
])('a cluster with $name is refused', async ({ request, reason }) => {
  await expect(broker.clusters.createCluster(request, broker.root)).rejects.toMatchObject({
    reason,
  })
})

test('namespaces are events when they come, change or go, and otherwise not', async () => {
  const { clusterId, agent } = await joinedAgent('namespaces')
  const report = async (...namespaces: { name: string; labels: Record<string, string> }[]) =>
    await agent.reportStatus({ version: '1', namespaces, namespacesListed: true })
  const shop = { name: 'shop', labels: { team: 'a' } }
  const team = { name: 'team', labels: {} }
  const before = ['ClusterRegistered', 'AgentJoined']

  await report(shop, team)
  await report(team, shop)
  expect(await broker.eventsOf(clusterId)).toEqual([
    ...before,
    'NamespaceObserved',
    'NamespaceObserved',
  ])
  await report({ ...shop, labels: { team: 'b' } })
  await report({ ...shop, labels: { team: 'b' } })
  // One that is named twice hides none that is gone.
  await report({ ...shop, labels: { team: 'b' } }, { ...shop, labels: { team: 'c' } })
  await agent.reportStatus({ version: '2', namespaces: [], namespacesListed: false })
  const so = [
    ...before,
    'NamespaceObserved',
    'NamespaceObserved',
    'NamespaceObserved',
    'NamespaceGone',
  ]
  expect(await broker.eventsOf(clusterId)).toEqual(so)

  await report()
  expect(await broker.eventsOf(clusterId)).toEqual([...so, 'NamespaceGone'])
})

test('many namespaces are taken; more than are kept, or malformed ones, are refused', async () => {
  const { clusterId, agent } = await joinedAgent('large')
  const named = (count: number) =>
    Array.from({ length: count }, (_, index) => ({ name: `ns-${index}`, labels: {} }))
  const report = async (namespaces: { name: string; labels: Record<string, string> }[]) =>
    await agent.reportStatus(
      { version: '1', namespaces, namespacesListed: true },
      { deadlineMs: 30_000 },
    )
  await report(named(1234))
  expect((await broker.eventsOf(clusterId)).length).toBe(1236)
  await expect(report(named(10_001))).rejects.toMatchObject({ reason: 'TOO_MANY_NAMESPACES' })
  for (const wrong of [
    { name: 'Upper', labels: {} },
    { name: '', labels: {} },
    { name: 'x'.repeat(64), labels: {} },
    { name: 'a', labels: { 'no\ngood': 'x' } },
    { name: 'a', labels: { team: 'x\n' } },
    { name: 'a', labels: { team: 'x'.repeat(64) } },
  ]) {
    await expect(report([...named(1234), wrong])).rejects.toMatchObject({
      code: 3,
      reason: 'INVALID_NAMESPACE',
    })
  }
  expect((await broker.eventsOf(clusterId)).length).toBe(1236)
})

test('an agent that was not heard of for half a minute leaves its cluster offline', async () => {
  const { clusterId, agent } = await joinedAgent('quiet')
  const state = async () =>
    (await broker.clusters.getCluster({ cluster: clusterId }, broker.root)).cluster?.state
  await agent.reportStatus({ version: '1' })
  expect(await state()).toBe(2)
  broker.advance(31)
  expect(await state()).toBe(3)
  await agent.reportStatus({ version: '1' })
  expect(await state()).toBe(2)
})

test('a relay says where it is under its own name only', async () => {
  const relay = await broker.relay('r9')
  await expect(
    relay.registerRelay({ agentAddress: 'relay', gatewayAddress: '10.0.0.1:1' }),
  ).rejects.toMatchObject({ reason: 'INVALID_ADDRESS' })
})

test('lists come in pages, complete and by name', async () => {
  const names: string[] = []
  let pageToken = ''
  do {
    const page = await broker.clusters.listClusters({ pageSize: 2, pageToken }, auditor)
    names.push(...page.clusters.map(({ name }) => name))
    pageToken = page.nextPageToken
  } while (pageToken !== '')
  const all = (await broker.clusters.listClusters({ pageSize: 1000 }, auditor)).clusters
  expect(names).toEqual(all.map(({ name }) => name))
  expect(names).toEqual(names.toSorted())
  await expect(broker.clusters.listClusters({ pageSize: 1001 }, auditor)).rejects.toMatchObject({
    reason: 'INVALID_PAGE_SIZE',
  })
})

test('every RPC refuses nobody, wrong parts, and users without the permission', async () => {
  const answers = await sweepRpcs({
    address: broker.address,
    trustDomain: broker.authority.trustDomain,
    serverPath: 'service/tunnel-broker',
    registrations: [
      'postern.tunnelbroker.v1.ClusterService',
      'postern.tunnelbroker.v1.AgentService',
      'postern.tunnelbroker.v1.RelayService',
      'postern.eventlog.v1.EventLogService',
    ],
    identityOf: async (path) => await broker.authority.identity(path),
    unprivilegedToken: alice.as.userToken,
  })
  expect(openDoors(answers)).toEqual([])
  expect(new Set(answers.map(({ rpc }) => rpc)).size).toBe(17)
})

test('every projection can be dropped and rebuilt', async () => {
  expect(await broker.rebuild()).toBe(true)
  const { projections } = await broker.logs.rebuild({ verify: true }, broker.root)
  expect(projections.map(({ projection, equal }) => [projection, equal])).toEqual([
    ['clusters', true],
    ['join-tokens', true],
    ['relays', true],
  ])
}, 60_000)
