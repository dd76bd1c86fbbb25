import { decide, resourceAttributes } from '@postern/access'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { foldClusters, NO_CLUSTERS } from './clusters-fold.ts'
import type { IdentityEvent } from './identity-codec.ts'
import { identityCodec } from './identity-codec.ts'
import { foldIdentity, hexOf, NO_IDENTITY } from './identity-fold.ts'
import type { PolicyEvent } from './policy-codec.ts'
import { policyCodec } from './policy-codec.ts'
import { foldPolicy, NO_POLICY } from './policy-fold.ts'
import { toSnapshot } from './to-snapshot.ts'
import { type TunnelBrokerEvent, tunnelBrokerCodec } from './tunnel-broker-codec.ts'

const start = Date.parse('2026-03-01T00:00:00.000Z')
const minute = (n: number) => new Date(start + n * 60_000).toISOString()
const at = <Event>(event: Event, n = 0) => ({ event, at: minute(n) })
const hash = (n: number) => Buffer.alloc(32, n)
const issued = (n: number, userId: string, expiresAt = minute(600)): IdentityEvent => ({
  type: 'TokenIssued',
  tokenId: `t${n}`,
  userId,
  tokenSha256: hash(n),
  description: '',
  expiresAt,
})
const created = (userId: string): IdentityEvent => ({
  type: 'UserCreated',
  userId,
  name: `name-${userId}`,
  displayName: '',
  kind: 1,
})
const identityOf = (...events: IdentityEvent[]) =>
  foldIdentity(
    NO_IDENTITY,
    events.map((event) => at(event)),
  )

/* Random histories, also ones that no service would write. */

const id = (...ids: string[]) => fc.constantFrom(...ids)
const user = id('u1', 'u2', 'u3')
const groupId = id('g1', 'g2')
const identityEvent: fc.Arbitrary<IdentityEvent> = fc.oneof(
  user.map(created),
  fc.record({ type: fc.constant('UserDisabled' as const), userId: user, reason: fc.constant('') }),
  fc.record({ type: fc.constant('UserEnabled' as const), userId: user }),
  fc.record({ type: fc.constant('UserDeleted' as const), userId: user }),
  fc.record({ type: fc.constant('PasswordSet' as const), userId: user }),
  groupId.map((g) => ({
    type: 'GroupCreated' as const,
    groupId: g,
    name: g,
    platformRole: 0 as const,
  })),
  fc.record({ type: fc.constant('GroupDeleted' as const), groupId }),
  fc.record({ type: fc.constant('GroupMemberAdded' as const), groupId, userId: user }),
  fc.record({ type: fc.constant('GroupMemberRemoved' as const), groupId, userId: user }),
  fc
    .tuple(fc.integer({ min: 1, max: 5 }), user, fc.integer({ min: 0, max: 900 }))
    .map(([n, userId, expires]) => issued(n, userId, minute(expires))),
  fc
    .integer({ min: 1, max: 5 })
    .map((n) => ({ type: 'TokenRevoked' as const, tokenId: `t${n}`, reason: '' })),
  user.map((userId) => ({ type: 'SetupCompleted' as const, userId })),
)
const rules = (verb: string) => [
  { verbs: [verb], apiGroups: [''], resources: ['pods'], resourceNames: [], nonResourceUrls: [] },
]
const terms = (subject: string) => ({
  subjects: [{ kind: 'user', id: subject }],
  roleId: 'r1',
  clusters: { clusterIds: ['c1'] },
  namespaces: { all: true, names: [] },
})
const verb = id('get', 'list')
const policyEvent: fc.Arbitrary<PolicyEvent> = fc.oneof(
  fc.tuple(id('r1', 'r2'), verb).map(([roleId, v]) => ({
    type: 'RoleCreated' as const,
    roleId,
    name: roleId,
    description: '',
    rules: rules(v),
  })),
  fc.tuple(id('r1', 'r2'), verb).map(([roleId, v]) => ({
    type: 'RoleChanged' as const,
    roleId,
    description: '',
    rules: rules(v),
  })),
  id('r1', 'r2').map((roleId) => ({ type: 'RoleDeleted' as const, roleId })),
  fc.tuple(id('a', 'b'), user).map(([grantId, u]) => ({
    type: 'GrantCreated' as const,
    grantId,
    name: grantId,
    terms: terms(u),
  })),
  fc.tuple(id('a', 'b'), user).map(([grantId, u]) => ({
    type: 'GrantChanged' as const,
    grantId,
    terms: terms(u),
  })),
  id('a', 'b').map((grantId) => ({ type: 'GrantRevoked' as const, grantId, reason: '' })),
)
const clusterId = id('c1', 'c2')
const labels = fc.constantFrom<Record<string, string>>({}, { env: 'a' })
const namespace = id('n1', 'n2', 'n3')
const clusterEvent: fc.Arbitrary<TunnelBrokerEvent> = fc.oneof(
  fc.tuple(clusterId, labels).map(([c, l]) => ({
    type: 'ClusterRegistered' as const,
    clusterId: c,
    name: c,
    labels: l,
    installLevel: 2 as const,
  })),
  fc.tuple(clusterId, labels).map(([c, l]) => ({
    type: 'ClusterLabelsChanged' as const,
    clusterId: c,
    labels: l,
  })),
  clusterId.map((c) => ({ type: 'ClusterRemoved' as const, clusterId: c })),
  fc.tuple(clusterId, namespace, labels).map(([c, name, l]) => ({
    type: 'NamespaceObserved' as const,
    clusterId: c,
    name,
    labels: l,
  })),
  fc.tuple(clusterId, namespace).map(([c, name]) => ({
    type: 'NamespaceGone' as const,
    clusterId: c,
    name,
  })),
  fc.tuple(clusterId, id('x', 'y')).map(([c, agentId]) => ({
    type: 'AgentJoined' as const,
    clusterId: c,
    agentId,
  })),
  fc.tuple(clusterId, id('x', 'y')).map(([c, agentId]) => ({
    type: 'AgentRemoved' as const,
    clusterId: c,
    agentId,
  })),
)

/** The log cut into batches at these places. */
const cut = <T>(all: readonly T[], cuts: readonly number[]): T[][] => {
  const places = [0, ...cuts.map((n) => n % (all.length + 1)), all.length].toSorted((a, b) => a - b)
  return places.slice(1).map((end, index) => all.slice(places[index], end))
}
const cuts = fc.array(fc.nat(), { maxLength: 6 })

test('however the log is cut into batches, the state is the same, and what it was made from stays', () => {
  const history = <T>(event: fc.Arbitrary<T>) => fc.array(event, { maxLength: 40 })
  fc.assert(
    fc.property(
      history(identityEvent),
      history(policyEvent),
      history(clusterEvent),
      cuts,
      (who, what, where, places) => {
        const spread = who.map((event, index) => at(event, index * 25))
        const whole = foldIdentity(NO_IDENTITY, spread)
        const folded = cut(spread, places).reduce((state, batch) => {
          const before = structuredClone(state)
          const after = foldIdentity(state, batch)
          expect(state).toEqual(before)
          return after
        }, NO_IDENTITY)
        expect(folded).toEqual(whole)
        const policies = what.map((event) => at(event))
        expect(cut(policies, places).reduce(foldPolicy, NO_POLICY)).toEqual(
          foldPolicy(NO_POLICY, policies),
        )
        const clusters = where.map((event) => at(event))
        expect(
          cut(clusters, places).reduce((state, batch) => {
            const before = structuredClone(state)
            const after = foldClusters(state, batch)
            expect(state).toEqual(before)
            return after
          }, NO_CLUSTERS),
        ).toEqual(foldClusters(NO_CLUSTERS, clusters))
      },
    ),
    { numRuns: 500 },
  )
})

test('whatever the history, a token stands for an enabled user, and each has one name and known groups', () => {
  fc.assert(
    fc.property(fc.array(identityEvent, { maxLength: 60 }), (events) => {
      const { users, groups, tokens, tokenHashById, userIdByName } = identityOf(...events)
      for (const { userId } of tokens.values()) expect(users.get(userId)?.disabled).toBe(false)
      for (const { groupIds } of users.values()) {
        expect(groupIds.every((one) => groups.has(one))).toBe(true)
        expect(new Set(groupIds).size).toBe(groupIds.length)
      }
      for (const userId of userIdByName.values()) expect(users.has(userId)).toBe(true)
      for (const tokenHash of tokenHashById.values()) expect(tokens.has(tokenHash)).toBe(true)
    }),
    { numRuns: 1000 },
  )
})

test('what was written is read: every event survives the way through its bytes', () => {
  fc.assert(
    fc.property(identityEvent, policyEvent, clusterEvent, (who, what, where) => {
      expect(identityCodec.decode(identityCodec.encode(who))).toEqual(who)
      expect(policyCodec.decode(policyCodec.encode(what))).toEqual(what)
      expect(tunnelBrokerCodec.decode(tunnelBrokerCodec.encode(where))).toEqual(where)
    }),
    { numRuns: 500 },
  )
})

test.each<{ name: string; event: IdentityEvent }>([
  { name: 'a disabled user', event: { type: 'UserDisabled', userId: 'u1', reason: '' } },
  { name: 'a deleted user', event: { type: 'UserDeleted', userId: 'u1' } },
  { name: 'a user with a new password', event: { type: 'PasswordSet', userId: 'u1' } },
])('the tokens of $name are gone, those of others stay', ({ event }) => {
  const { tokens } = identityOf(
    created('u1'),
    created('u2'),
    issued(1, 'u1'),
    issued(2, 'u1'),
    issued(3, 'u2'),
    event,
  )
  expect([...tokens.keys()]).toEqual([hexOf(hash(3))])
})

test('an enabled user gets no earlier token back, and new ones count', () => {
  const state = identityOf(
    created('u1'),
    issued(1, 'u1'),
    { type: 'UserDisabled', userId: 'u1', reason: '' },
    issued(2, 'u1'),
    { type: 'UserEnabled', userId: 'u1' },
    issued(3, 'u1'),
  )
  expect([...state.tokens.values()].map(({ tokenId }) => tokenId)).toEqual(['t3'])
})

test('a revoked token is gone, and revoking it again changes nothing', () => {
  const revoked: IdentityEvent = { type: 'TokenRevoked', tokenId: 't1', reason: '' }
  const { tokens } = identityOf(created('u1'), issued(1, 'u1'), issued(2, 'u1'), revoked, revoked)
  expect([...tokens.values()].map(({ tokenId }) => tokenId)).toEqual(['t2'])
})

test('expired tokens do not pile up', () => {
  const days = Array.from({ length: 2000 }, (_, n) => ({
    event: { ...issued(n % 250, 'u1', minute(n * 10 + 60)), tokenId: `t${n}` } as IdentityEvent,
    at: minute(n * 10),
  }))
  const state = foldIdentity(NO_IDENTITY, [at(created('u1')), ...days])
  expect(state.tokens.size).toBeLessThan(20)
  expect(state.tokenHashById.size).toBe(state.tokens.size)
})

test('a deleted user leaves his name, and a new one with it is another', () => {
  const again: IdentityEvent = {
    type: 'UserCreated',
    userId: 'u9',
    name: 'name-u1',
    displayName: '',
    kind: 1,
  }
  const { userIdByName, users } = identityOf(
    created('u1'),
    { type: 'UserDeleted', userId: 'u1' },
    again,
  )
  expect(userIdByName.get('name-u1')).toBe('u9')
  expect(users.has('u1')).toBe(false)
})

test('a group that was deleted and made again has none of its members', () => {
  const group: IdentityEvent = { type: 'GroupCreated', groupId: 'g1', name: 'ops', platformRole: 0 }
  const { users } = identityOf(
    created('u1'),
    group,
    { type: 'GroupMemberAdded', groupId: 'g1', userId: 'u1' },
    { type: 'GroupDeleted', groupId: 'g1' },
    group,
  )
  expect(users.get('u1')?.groupIds).toEqual([])
})

test('an agent counts for its cluster until it or the cluster is removed', () => {
  const registered: TunnelBrokerEvent = {
    type: 'ClusterRegistered',
    clusterId: 'c1',
    name: 'prod',
    labels: {},
    installLevel: 0,
  }
  const joined: TunnelBrokerEvent = { type: 'AgentJoined', clusterId: 'c1', agentId: 'a' }
  const agents = (...events: TunnelBrokerEvent[]) =>
    Object.fromEntries(
      foldClusters(
        NO_CLUSTERS,
        events.map((event) => at(event)),
      ).clusterIdByAgent,
    )
  expect(agents(registered, joined)).toEqual({ a: 'c1' })
  expect(
    agents(registered, joined, { type: 'AgentRemoved', clusterId: 'c1', agentId: 'a' }),
  ).toEqual({})
  expect(
    agents(registered, joined, { type: 'ClusterRemoved', clusterId: 'c1' }, registered),
  ).toEqual({})
  expect(agents(joined)).toEqual({})
})

test('a level that nobody chose counts as the least', () => {
  for (const [installLevel, expected] of [
    [0, 'view'],
    [1, 'view'],
    [2, 'edit'],
    [3, 'admin'],
    [-1, 'view'],
  ] as const) {
    const { clusters } = foldClusters(NO_CLUSTERS, [
      at({
        type: 'ClusterRegistered' as const,
        clusterId: 'c',
        name: 'c',
        labels: {},
        installLevel,
      }),
    ])
    expect(clusters.get('c')?.installLevel).toBe(expected)
  }
})

test('an event that this version does not know is refused, not left out', () => {
  for (const codec of [identityCodec, policyCodec, tunnelBrokerCodec]) {
    const unknown = {
      type: 'postern.policy.events.v1.GrantNarrowed',
      schemaVer: 1,
      data: new Uint8Array(),
    }
    expect(() => codec.decode(unknown)).toThrow('upgrade this part first')
  }
})

test('the folded snapshot decides, and a change of tokens alone leaves it as it is', () => {
  const identity = identityOf(created('u1'))
  const policy = foldPolicy(NO_POLICY, [
    at<PolicyEvent>({
      type: 'RoleCreated',
      roleId: 'r1',
      name: 'r1',
      description: '',
      rules: rules('get'),
    }),
    at<PolicyEvent>({ type: 'GrantCreated', grantId: 'a', name: 'a', terms: terms('u1') }),
  ])
  const clusters = foldClusters(NO_CLUSTERS, [
    at<TunnelBrokerEvent>({
      type: 'ClusterRegistered',
      clusterId: 'c1',
      name: 'prod',
      labels: {},
      installLevel: 3,
    }),
  ])
  const snapshot = toSnapshot(
    { ...identity, ...policy, clusters: new Map() },
    identity,
    policy,
    clusters,
  )
  const asked = resourceAttributes({ verb: 'get', resource: 'pods', namespace: 'n', name: 'p' })
  const who = { userId: 'u1', clusterId: 'c1' }
  expect(decide(snapshot, who, asked, new Date(start)).outcome).toBe('allow')
  const signedIn = foldIdentity(identity, [at(issued(1, 'u1'))])
  expect(toSnapshot(snapshot, signedIn, policy, clusters)).toBe(snapshot)
  const revoked = foldPolicy(policy, [
    at<PolicyEvent>({ type: 'GrantRevoked', grantId: 'a', reason: '' }),
  ])
  const after = toSnapshot(snapshot, signedIn, revoked, clusters)
  expect(decide(after, who, asked, new Date(start)).outcome).toBe('deny')
})
