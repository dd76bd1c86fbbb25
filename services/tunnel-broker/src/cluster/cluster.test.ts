import { given } from '@postern/eventing/testing'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type ClusterEvent, cluster, INSTALL_LEVELS } from './cluster.ts'

const by = { by: 'user:u1', now: new Date('2026-01-01T00:00:00Z') }
const registered: ClusterEvent = {
  type: 'ClusterRegistered',
  clusterId: 'c1',
  name: 'prod-eu',
  labels: { env: 'prod' },
  installLevel: INSTALL_LEVELS.edit,
}
const removed: ClusterEvent = { type: 'ClusterRemoved', clusterId: 'c1' }

test('setting the labels that a cluster has changes nothing', () => {
  given(cluster, [registered])
    .when({ type: 'SetLabels', labels: { env: 'prod' } }, by)
    .emits([])
})

test('removing a cluster twice changes nothing', () => {
  given(cluster, [registered, removed]).when({ type: 'RemoveCluster' }, by).emits([])
})

test('a removed cluster takes no agent', () => {
  given(cluster, [registered, removed])
    .when({ type: 'AddAgent', agentId: 'a1' }, by)
    .rejects('CLUSTER_NOT_FOUND')
})

test.each(['', 'Prod', 'prod_eu', '-prod', 'prod-', 'a.b', 'x'.repeat(64), '../x'])(
  'a cluster cannot be called %j: the name is a part of its host name',
  (name) => {
    given(cluster, [])
      .when({ ...command, name }, by)
      .rejects('INVALID_CLUSTER_NAME')
  },
)

test.each([{ 'a b': 'x' }, { a: 'x y' }, { 'UPPER.example/a': 'x' }, { a: 'x'.repeat(64) }])(
  'labels that Kubernetes would refuse are refused: %j',
  (labels) => {
    given(cluster, [])
      .when({ ...command, labels: { ...labels } }, by)
      .rejects('INVALID_LABEL')
  },
)

const command = {
  type: 'RegisterCluster' as const,
  clusterId: 'c1',
  name: 'prod-eu',
  labels: {},
  installLevel: INSTALL_LEVELS.edit,
}

test('whatever lists an agent reports, the state is the last list, and a repeated list changes nothing', () => {
  const name = fc.constantFrom('a', 'b', 'c', 'd')
  const labels = fc.dictionary(fc.constantFrom('team', 'env'), fc.constantFrom('x', 'y'))
  const list = fc.uniqueArray(fc.record({ name, labels }), { selector: (entry) => entry.name })
  fc.assert(
    fc.property(fc.array(list, { minLength: 1 }), (lists) => {
      let state = cluster.evolve(cluster.initial, registered)
      for (const namespaces of lists) {
        const order = { type: 'ObserveNamespaces' as const, namespaces }
        for (const event of cluster.decide(order, state, by)) state = cluster.evolve(state, event)
        expect(cluster.decide(order, state, by)).toEqual([])
        const known = state.status === 'absent' ? new Map() : state.namespaces
        expect(new Map(known)).toEqual(new Map(namespaces.map((one) => [one.name, one.labels])))
      }
    }),
  )
})
