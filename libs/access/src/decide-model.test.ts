import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type Attributes, resourceAttributes } from './attributes.ts'
import { compile } from './compile.ts'
import { createDecider } from './create-decider.ts'
import { hasAnyAccess, nextChangeAt } from './decide.ts'
import { modelAllows } from './reference-model.ts'
import type { Grant, LabelSelector, PolicyRule, Snapshot } from './snapshot.ts'
import { snapshotOf } from './testing.ts'

const instant = (hour: number) => `2026-03-01T${String(hour).padStart(2, '0')}:00:00.000Z`
/* Random policies and requests from small alphabets, so that they meet. */

const some = <T>(arb: fc.Arbitrary<T>, maxLength: number, minLength = 0) =>
  fc.array(arb, { minLength, maxLength })
const rarely = <T>(arbitrary: fc.Arbitrary<T>) =>
  fc.oneof({ weight: 3, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary })
const labels = fc.dictionary(fc.constantFrom('env', 'team'), fc.constantFrom('a', 'b'), {
  maxKeys: 2,
})
const selector: fc.Arbitrary<LabelSelector> = fc.record({
  matchLabels: fc.oneof(
    { weight: 3, arbitrary: fc.constant({}) },
    { weight: 1, arbitrary: labels },
  ),
  matchExpressions: some(
    fc.record({
      key: fc.constantFrom('env', 'team', 'toString'),
      operator: fc.constantFrom('In', 'NotIn', 'Exists', 'DoesNotExist', 'Near'),
      values: some(fc.constantFrom('a', 'b'), 2),
    }),
    1,
  ),
})
const verbs = [
  'get',
  'list',
  'watch',
  'create',
  'update',
  'delete',
  'deletecollection',
  'impersonate',
  'proxy',
]
const resources = [
  'pods',
  'secrets',
  'nodes',
  'services',
  'serviceaccounts',
  'namespaces',
  'clusterroles',
  'selfsubjectaccessreviews',
]
const subresources = ['exec', 'proxy', 'log', 'token', 'attach']
const groups = ['', 'apps', 'rbac.authorization.k8s.io', 'authorization.k8s.io']
const urls = [
  '/metrics',
  '/version',
  '/version/',
  '/api',
  '/apis/x',
  '/apis/x/v1',
  '/logs/a',
  '/',
  '/openapi/v3',
  '/apis//x',
]
const rule: fc.Arbitrary<PolicyRule> = fc.record({
  verbs: some(fc.constantFrom('*', '*', '*', '*', ...verbs), 5, 2),
  apiGroups: some(fc.constantFrom('*', '', '', ...groups), 2, 1),
  resources: some(
    fc.constantFrom(
      '*',
      '*/exec',
      '*/proxy',
      'pods/*',
      '*/',
      ...resources,
      ...resources.flatMap((r) => subresources.slice(0, 2).map((s) => `${r}/${s}`)),
    ),
    4,
  ),
  resourceNames: fc.oneof(
    { weight: 4, arbitrary: fc.constant<string[]>([]) },
    { weight: 1, arbitrary: some(fc.constantFrom('x', 'y', ''), 2, 1) },
  ),
  nonResourceUrls: some(fc.constantFrom('*', '/logs/*', '/**', '/me*ics', ...urls), 2),
})
const grant: fc.Arbitrary<Omit<Grant, 'id' | 'name'>> = fc.record({
  subjects: some(
    fc.constantFrom(
      { kind: 'user', id: 'u1' },
      { kind: 'user', id: 'u1' },
      { kind: 'user', id: 'u2' },
      { kind: 'group', id: 'g1' },
      { kind: 'group', id: 'g3' },
      { kind: 'group', id: 'u1' },
      { kind: 'robot', id: 'u1' },
    ),
    3,
    1,
  ),
  roleId: fc.constantFrom('r1', 'r1', 'r2', 'r3'),
  clusters: fc.record({
    clusterIds: some(fc.constantFrom('c1', 'c1', 'c1', 'c2'), 2, 1),
    labels: fc.option(selector, { nil: undefined }),
  }),
  namespaces: fc.record({
    all: fc.boolean(),
    names: some(fc.constantFrom('a', 'b', 'a*', '*b', '*', 'a*a', 'a.b', 'postern-jit'), 2),
    labels: fc.option(selector, { nil: undefined }),
  }),
  notBefore: rarely(fc.integer({ min: 0, max: 12 }).map(instant)),
  notAfter: rarely(fc.integer({ min: 8, max: 23 }).map(instant)),
})
const cluster = (id: string) =>
  fc.record({
    id: fc.constant(id),
    labels,
    namespaces: fc.tuple(labels, labels).map(
      ([a, aa]) =>
        new Map([
          ['a', a],
          ['aa', aa],
        ]),
    ),
  })
const world = fc
  .record({
    disabled: fc.integer({ min: 0, max: 9 }).map((n) => n === 0),
    userGroups: some(fc.constantFrom('g1', 'g2', 'g3'), 2),
    r1: some(rule, 6, 3),
    r2: some(rule, 3),
    grants: some(grant, 7, 3),
    c1: cluster('c1'),
    c2: cluster('c2'),
  })
  .map(({ disabled, userGroups, r1, r2, grants, c1, c2 }) =>
    snapshotOf({
      users: [{ id: 'u1', disabled, groupIds: userGroups }, { id: 'u2' }],
      groups: [{ id: 'g1' }, { id: 'g2' }],
      roles: [
        { id: 'r1', rules: r1 },
        { id: 'r2', rules: r2 },
      ],
      grants: grants.map((one, index) => ({ ...one, id: `grant${index}` })),
      clusters: [c1, c2],
    }),
  )
const asked: fc.Arbitrary<Attributes> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc
      .record({
        verb: fc.constantFrom('', ...verbs, ...verbs),
        resource: fc.constantFrom('', ...resources, 'pods', 'pods', 'pods', 'pods'),
        subresource: fc.constantFrom('', '', '', '', '', 'exec', ...subresources),
        apiGroup: fc.constantFrom('', '', '', '', '', ...groups),
        namespace: fc.constantFrom(
          '',
          'a',
          'a',
          'b',
          'aa',
          'ab',
          'a.b',
          'axb',
          'postern-jit',
          'postern-system',
        ),
        name: fc.constantFrom('', 'x', 'z', 'postern-x', 'system:serviceaccount:postern-jit:x'),
        fieldSelector: fc.constantFrom(
          '',
          'metadata.namespace=a',
          'metadata.namespace!=postern-jit',
          'metadata.namespace!=postern-jit,metadata.namespace!=postern-system',
        ),
      })
      .map(resourceAttributes),
  },
  {
    weight: 1,
    arbitrary: fc
      .record({ verb: fc.constantFrom('get', 'post', 'head'), path: fc.constantFrom(...urls) })
      .map((one) => ({
        ...resourceAttributes({ verb: one.verb, resource: '' }),
        path: one.path,
        isResourceRequest: false,
      })),
  },
)
const requester = fc.record({
  userId: fc.constantFrom('u1', 'u1', 'u1', 'u2', 'nobody'),
  clusterId: fc.constantFrom('c1', 'c1', 'c1', 'c2', 'gone'),
})
const hour = fc.integer({ min: 0, max: 23 })

test('the decision equals the model on random policies and requests', () => {
  const decider = createDecider({ entriesMax: 2 })
  let allowed = 0
  let cases = 0
  fc.assert(
    fc.property(world, some(fc.tuple(requester, asked, hour), 40, 40), (snapshot, questions) => {
      for (const [who, what, when] of questions) {
        const decision = decider.decide(snapshot, who, what, new Date(instant(when)))
        const expected = modelAllows(snapshot, who.userId, who.clusterId, what, instant(when))
        if ((decision.outcome === 'allow') !== expected) {
          throw new Error(
            `model says ${expected}, decision ${decision.reason} for ${JSON.stringify({ who, what, when })}`,
          )
        }
        cases++
        allowed += Number(expected)
      }
    }),
    { numRuns: 1500 },
  )
  expect(cases).toBeGreaterThan(20_000)
  // Both answers must be common, or the comparison says little.
  expect(allowed / cases).toBeGreaterThan(0.05)
  expect(allowed / cases).toBeLessThan(0.95)
})

const outcomeOf = (
  snapshot: Snapshot,
  question: [typeof requester extends fc.Arbitrary<infer R> ? R : never, Attributes, number],
) => {
  const [who, what, when] = question
  return createDecider().decide(snapshot, who, what, new Date(instant(when))).outcome
}

test('a grant more never takes anything away, a grant less never gives anything', () => {
  fc.assert(
    fc.property(world, grant, fc.tuple(requester, asked, hour), (snapshot, extra, question) => {
      const more = {
        ...snapshot,
        grants: new Map([...snapshot.grants, ['extra', { ...extra, id: 'extra', name: 'extra' }]]),
      }
      return outcomeOf(snapshot, question) === 'deny' || outcomeOf(more, question) === 'allow'
    }),
    { numRuns: 5000 },
  )
})

test('a rule more never takes anything away, a wildcard gives at least what a name gives', () => {
  fc.assert(
    fc.property(world, rule, fc.tuple(requester, asked, hour), (snapshot, extra, question) => {
      const widened = (change: (rules: readonly PolicyRule[]) => readonly PolicyRule[]) => ({
        ...snapshot,
        roles: new Map(
          [...snapshot.roles].map(([id, role]) => [id, { ...role, rules: change(role.rules) }]),
        ),
      })
      if (outcomeOf(snapshot, question) === 'deny') return true
      const starred = widened((rules) =>
        rules.map((one) => ({
          ...one,
          verbs: [...one.verbs, '*'],
          resources: [...one.resources, '*'],
        })),
      )
      const added = widened((rules) => [extra, ...rules])
      return outcomeOf(added, question) === 'allow' && outcomeOf(starred, question) === 'allow'
    }),
    { numRuns: 5000 },
  )
})

test('the order of grants, rules and groups does not matter, nor who decides', () => {
  fc.assert(
    fc.property(world, fc.tuple(requester, asked, hour), (snapshot, question) => {
      const reversed = <T>(map: ReadonlyMap<string, T>) => new Map([...map].toReversed())
      const turned: Snapshot = {
        users: new Map(
          [...snapshot.users].map(([id, user]) => [
            id,
            { ...user, groupIds: user.groupIds.toReversed() },
          ]),
        ),
        groups: reversed(snapshot.groups),
        roles: new Map(
          [...snapshot.roles].map(([id, role]) => [
            id,
            { ...role, rules: role.rules.toReversed() },
          ]),
        ),
        grants: reversed(snapshot.grants),
        clusters: reversed(snapshot.clusters),
      }
      const [who, what, when] = question
      const at = new Date(instant(when))
      expect(createDecider().decide(turned, who, what, at)).toEqual(
        createDecider().decide(snapshot, who, what, at),
      )
    }),
    { numRuns: 3000 },
  )
})

test('between two changes of the clock nothing changes', () => {
  fc.assert(
    fc.property(
      world,
      fc.tuple(requester, asked, hour),
      hour,
      (snapshot, [who, what, when], later) => {
        const at = new Date(instant(when))
        const access = compile(snapshot, who)
        const next = nextChangeAt(access, at)
        const then = new Date(instant(later))
        if (then <= at || (next !== undefined && then >= next)) return true
        const decider = createDecider()
        return (
          hasAnyAccess(access, at) === hasAnyAccess(access, then) &&
          decider.decide(snapshot, who, what, at).outcome ===
            decider.decide(snapshot, who, what, then).outcome
        )
      },
    ),
    { numRuns: 5000 },
  )
})
