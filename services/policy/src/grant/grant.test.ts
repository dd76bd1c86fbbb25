import { given, play } from '@postern/eventing/testing'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type GrantCommand, type GrantEvent, type GrantTerms, grant } from './grant.ts'

const now = new Date('2026-01-01T00:00:00Z')
const at = { by: 'user:alice', now }
const grantId = '01900000-0000-7000-8000-000000000002'
const terms: GrantTerms = {
  subjects: [{ kind: 'group', id: '01900000-0000-7000-8000-000000000003' }],
  roleId: '01900000-0000-7000-8000-000000000001',
  clusters: { clusterIds: [], labels: { matchLabels: { env: 'dev' }, matchExpressions: [] } },
  namespaces: { all: false, names: ['team-*'] },
  notAfter: '2026-02-01T00:00:00.000Z',
}
const created: GrantEvent = { type: 'GrantCreated', grantId, name: 'devs', terms }
const revoked: GrantEvent = { type: 'GrantRevoked', grantId, reason: 'left' }
const revoke: GrantCommand = { type: 'RevokeGrant', reason: 'left' }

test('a grant holds for the terms it was created with', () => {
  given(grant, []).when({ type: 'CreateGrant', grantId, name: 'devs', terms }, at).emits([created])
})

test('changing a grant to what it already is changes nothing, in whatever order labels are written', () => {
  const labels = { matchLabels: { b: '2', a: '1' }, matchExpressions: [] }
  const same = { matchLabels: { a: '1', b: '2' }, matchExpressions: [] }
  const past: GrantEvent = {
    ...created,
    type: 'GrantChanged',
    terms: { ...terms, clusters: { clusterIds: [], labels } },
  }
  given(grant, [created, past])
    .when(
      { type: 'ChangeGrant', terms: { ...terms, clusters: { clusterIds: [], labels: same } } },
      at,
    )
    .emits([])
})

test('applying the terms of a grant that has ended changes nothing', () => {
  given(grant, [created])
    .when({ type: 'ChangeGrant', terms }, { ...at, now: new Date('2027-01-01T00:00:00Z') })
    .emits([])
})

test('changing a grant replaces its terms', () => {
  const wider = { ...terms, namespaces: { all: true, names: [] } }
  given(grant, [created])
    .when({ type: 'ChangeGrant', terms: wider }, at)
    .emits([{ type: 'GrantChanged', grantId, terms: wider }])
})

test('revoking ends the grant, and revoking it again changes nothing', () => {
  given(grant, [created]).when(revoke, at).emits([revoked])
  given(grant, [created, revoked]).when(revoke, at).emits([])
})

test.each<{ name: string; past: GrantEvent[]; command: GrantCommand; reason: string }>([
  {
    name: 'creating a grant again',
    past: [created],
    command: { type: 'CreateGrant', grantId, name: 'devs', terms },
    reason: 'GRANT_EXISTS',
  },
  {
    name: 'bringing a revoked grant back',
    past: [created, revoked],
    command: { type: 'ChangeGrant', terms },
    reason: 'GRANT_REVOKED',
  },
  {
    name: 'changing an absent grant',
    past: [],
    command: { type: 'ChangeGrant', terms },
    reason: 'GRANT_NOT_FOUND',
  },
  { name: 'revoking an absent grant', past: [], command: revoke, reason: 'GRANT_NOT_FOUND' },
])('$name is rejected', ({ past, command, reason }) => {
  given(grant, past).when(command, at).rejects(reason)
})

const subject = { kind: 'user', id: 'u1' }
const labels = { matchLabels: {}, matchExpressions: [] }
const expression = (operator: string, values: string[], key = 'env') => ({
  clusters: {
    clusterIds: [],
    labels: { matchLabels: {}, matchExpressions: [{ key, operator, values }] },
  },
})
const label = (key: string, value: string) => ({
  clusters: { clusterIds: [], labels: { matchLabels: { [key]: value }, matchExpressions: [] } },
})

test.each<[string, Partial<GrantTerms>, string]>([
  ['no subjects', { subjects: [] }, 'SUBJECTS_COUNT'],
  ['a subject twice', { subjects: [subject, subject] }, 'SUBJECTS_COUNT'],
  ['no clusters', { clusters: { clusterIds: [] } }, 'CLUSTERS_MISSING'],
  ['a cluster twice', { clusters: { clusterIds: ['c', 'c'] } }, 'CLUSTERS_COUNT'],
  ['no namespaces', { namespaces: { all: false, names: [] } }, 'NAMESPACES_MISSING'],
  ['all and some namespaces', { namespaces: { all: true, names: ['a'] } }, 'NAMESPACES_MIXED'],
  ['all and labelled ones', { namespaces: { all: true, names: [], labels } }, 'NAMESPACES_MIXED'],
  ['a namespace twice', { namespaces: { all: false, names: ['a', 'a'] } }, 'NAMESPACES_COUNT'],
  ['a bad namespace', { namespaces: { all: false, names: ['Team'] } }, 'INVALID_NAMESPACE'],
  ['a glob of stars', { namespaces: { all: false, names: ['*'.repeat(9)] } }, 'INVALID_NAMESPACE'],
  ['a bad label key', label('-env', 'dev'), 'INVALID_LABEL_KEY'],
  ['an empty label prefix', label('/env', 'dev'), 'INVALID_LABEL_KEY'],
  ['a long label prefix', label(`${'a'.repeat(254)}/env`, 'dev'), 'INVALID_LABEL_KEY'],
  ['a bad label value', label('env', 'd e v'), 'INVALID_LABEL_VALUE'],
  ['a long label value', label('env', 'a'.repeat(64)), 'INVALID_LABEL_VALUE'],
  ['an unknown operator', expression('in', ['dev']), 'INVALID_OPERATOR'],
  ['In without values', expression('In', []), 'VALUES_MISSING'],
  ['NotIn without values', expression('NotIn', []), 'VALUES_MISSING'],
  ['Exists with values', expression('Exists', ['dev']), 'VALUES_NOT_ALLOWED'],
  ['DoesNotExist with values', expression('DoesNotExist', ['dev']), 'VALUES_NOT_ALLOWED'],
  ['too many values', expression('In', Array(101).fill('dev')), 'SELECTOR_TOO_LARGE'],
  [
    'too much in all',
    {
      clusters: {
        clusterIds: [],
        labels: {
          matchLabels: {},
          matchExpressions: Array.from({ length: 4 }, () => ({
            key: 'env',
            operator: 'In',
            values: Array(100).fill('a'.repeat(60)),
          })),
        },
      },
    },
    'SELECTOR_TOO_LARGE',
  ],
  ['an end in the past', { notAfter: '2025-12-31T23:59:59.000Z' }, 'ENDS_IN_PAST'],
  ['an end that is now', { notAfter: '2026-01-01T00:00:00.000Z' }, 'ENDS_IN_PAST'],
  ['an end before its start', { notBefore: '2026-03-01T00:00:00.000Z' }, 'ENDS_BEFORE_START'],
])('a grant with %s is refused', (_name, wrong, reason) => {
  given(grant, [])
    .when({ type: 'CreateGrant', grantId, name: 'devs', terms: { ...terms, ...wrong } }, at)
    .rejects(reason)
})

test.each<Partial<GrantTerms>>([
  { clusters: { clusterIds: [], labels } },
  { namespaces: { all: true, names: [] } },
  { namespaces: { all: false, names: ['*', 'kube-*', 'a*b'], labels } },
  label('example.com/tier', ''),
  expression('In', ['dev', 'test_1', '']),
  expression('DoesNotExist', [], 'node-role.kubernetes.io/control-plane'),
])('a grant for %j is accepted', (right) => {
  const accepted = { ...terms, ...right }
  given(grant, [])
    .when({ type: 'CreateGrant', grantId, name: 'devs', terms: accepted }, at)
    .emits([{ type: 'GrantCreated', grantId, name: 'devs', terms: accepted }])
})

test('whatever is asked in whatever order, a revoked grant never gives anything again', () => {
  const someTerms = fc.constantFrom(terms, { ...terms, namespaces: { all: true, names: [] } })
  const command = fc.oneof<fc.Arbitrary<GrantCommand>[]>(
    someTerms.map((each) => ({ type: 'CreateGrant', grantId, name: 'devs', terms: each })),
    someTerms.map((each) => ({ type: 'ChangeGrant', terms: each })),
    fc.constant(revoke),
  )
  fc.assert(
    fc.property(fc.array(command, { maxLength: 30 }), (commands) => {
      const steps = play(
        grant,
        commands.map((each) => ({ command: each, context: at })),
      )
      const types = steps.flatMap(({ events }) => events.map(({ type }) => type)).join(' ')
      expect(types).toMatch(/^(GrantCreated( GrantChanged)*( GrantRevoked)?)?$/)
    }),
  )
})
