import { expect, test } from 'vitest'
import { compile } from './compile.ts'
import { createDecider } from './create-decider.ts'
import { decide, hasAnyAccess, nextChangeAt } from './decide.ts'
import { parseRequestInfo } from './request-info.ts'
import { ruleOf, snapshotOf } from './testing.ts'

const now = new Date('2026-03-01T12:00:00.000Z')
const alice = { userId: 'u1', clusterId: 'c1' }
const rules = [ruleOf({ verbs: ['get', 'list'], resources: ['pods'] })]
const subjects = [{ kind: 'user', id: 'u1' }]
const clusters = { clusterIds: ['c1'] }
const inDefault = { all: false, names: ['default'] }
const snapshot = snapshotOf({
  users: [
    { id: 'u1', name: 'alice' },
    { id: 'u2', name: '<b>&"' },
  ],
  roles: [{ id: 'r1', name: 'view', rules }],
  grants: [
    { id: 'g1', name: 'ops', subjects, roleId: 'r1', clusters, namespaces: inDefault },
    {
      id: 'g2',
      name: 'later',
      subjects,
      roleId: 'r1',
      clusters,
      namespaces: inDefault,
      notBefore: '2026-03-02T00:00:00Z',
    },
    {
      id: 'g3',
      name: 'past',
      subjects,
      roleId: 'r1',
      clusters,
      namespaces: inDefault,
      notAfter: '2026-03-01T12:00:00Z',
    },
    {
      id: 'g4',
      name: 'elsewhere',
      subjects,
      roleId: 'r1',
      clusters: { clusterIds: ['c2'] },
      namespaces: inDefault,
    },
    { id: 'g5', name: 'roleless', subjects, roleId: 'gone', clusters, namespaces: inDefault },
  ],
  clusters: [
    { id: 'c1', name: 'prod' },
    { id: 'c2', name: 'test' },
    { id: 'c3', name: 'dev' },
  ],
})

const requested = (request: string, who = alice) => {
  const [method = '', target = ''] = request.split(' ')
  return decide(snapshot, who, parseRequestInfo(method, target), now)
}

test('a denial begins with the sentence of Kubernetes and goes on with why and what to do', () => {
  const denied = requested('POST /api/v1/namespaces/default/pods/web/exec')
  expect(denied.reason).toBe(
    'pods "web" is forbidden: User "alice" cannot create resource "pods/exec" in API group "" in the namespace "default"' +
      ': none of your grants on the cluster "prod" allows it (grant "later" begins only at 2026-03-02T00:00:00Z; ' +
      'role "view" of grant "ops" does not allow create on pods/exec; grant "past" ended at 2026-03-01T12:00:00Z)' +
      '; ask an administrator of Postern for one that does',
  )
})

test('a denial says of each grant of the user why it does not help', () => {
  expect(requested('GET /api/v1/namespaces/shop/pods').missing).toEqual([
    'grant "later" begins only at 2026-03-02T00:00:00Z',
    'grant "ops" does not reach the namespace "shop"',
    'grant "past" ended at 2026-03-01T12:00:00Z',
    'grant "elsewhere" is not for the cluster "prod"',
    'the role of grant "roleless" does not exist',
  ])
  expect(requested('GET /api/v1/nodes').missing).toContain(
    'grant "ops" holds in some namespaces only, and this concerns the whole cluster',
  )
})

test.each([
  [
    'GET /apis/apps/v1/namespaces/a/deployments/web',
    'deployments.apps "web" is forbidden: User "alice" cannot get resource "deployments" in API group "apps" in the namespace "a": ',
  ],
  [
    'GET /api/v1/nodes',
    'nodes is forbidden: User "alice" cannot list resource "nodes" in API group "" at the cluster scope: ',
  ],
  ['GET /metrics', 'forbidden: User "alice" cannot get path "/metrics": '],
])('%s is refused in the words of Kubernetes', (request, sentence) => {
  expect(requested(request).reason.startsWith(sentence)).toBe(true)
})

test('a name cannot smuggle markup or quotes into the sentence', () => {
  const { reason } = requested('GET /metrics', { ...alice, userId: 'u2' })
  expect(reason).toContain('User "&lt;b&gt;&amp;\\"" cannot')
})

test('without any grant on the cluster that is what it says', () => {
  expect(requested('GET /api', { ...alice, clusterId: 'c3' }).reason).toContain(
    ': you have no grant on the cluster "dev"; ask an administrator of Postern for one',
  )
})

test('what allows is named', () => {
  expect(requested('GET /api/v1/namespaces/default/pods/web')).toEqual({
    outcome: 'allow',
    grant: { id: 'g1', name: 'ops' },
    role: { id: 'r1', name: 'view' },
    reason: 'allowed by grant "ops" with role "view"',
    missing: [],
  })
})

test('discovery and self reviews are open to whoever has access now, and only to him', () => {
  const selfReview = 'POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews'
  for (const request of ['GET /api', 'GET /openapi/v3', selfReview]) {
    expect(requested(request)).toMatchObject({ outcome: 'allow', grant: { name: 'ops' } })
    expect(requested(request, { ...alice, clusterId: 'c3' }).outcome).toBe('deny')
    expect(requested(request, { ...alice, userId: 'u2' }).outcome).toBe('deny')
  }
})

test('the next change is the next begin or end of a grant', () => {
  const access = compile(snapshot, alice)
  const at = (text: string) => new Date(text)
  expect(nextChangeAt(access, at('2026-03-01T00:00:00Z'))).toEqual(at('2026-03-01T12:00:00Z'))
  expect(nextChangeAt(access, now)).toEqual(at('2026-03-02T00:00:00Z'))
  expect(nextChangeAt(access, at('2026-03-02T00:00:00Z'))).toBeUndefined()
  expect(hasAnyAccess(access, now)).toBe(true)
  expect(hasAnyAccess(compile(snapshot, { ...alice, clusterId: 'c3' }), now)).toBe(false)
})

test('a decider decides on the snapshot it is given, not on the one before', () => {
  const decider = createDecider()
  const info = parseRequestInfo('GET', '/api/v1/namespaces/default/pods/web')
  expect(decider.decide(snapshot, alice, info, now).outcome).toBe('allow')
  const revoked = { ...snapshot, grants: new Map() }
  expect(decider.decide(revoked, alice, info, now).outcome).toBe('deny')
  expect(decider.decide(snapshot, alice, info, now).outcome).toBe('allow')
})

test('a decider keeps what it compiled, up to its bound', () => {
  const decider = createDecider({ entriesMax: 2 })
  const first = decider.compiled(snapshot, alice)
  expect(decider.compiled(snapshot, alice)).toBe(first)
  for (const userId of ['a', 'b', 'c']) decider.compiled(snapshot, { ...alice, userId })
  expect(decider.compiled(snapshot, alice)).not.toBe(first)
})
