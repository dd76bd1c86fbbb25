import { expect, test } from 'vitest'
import { resourceAttributes } from './attributes.ts'
import { decide } from './decide.ts'
import { parseRequestInfo } from './request-info.ts'
import type { Grant, PolicyRule, Snapshot } from './snapshot.ts'
import { ruleOf, snapshotOf } from './testing.ts'

const now = new Date('2026-03-01T12:00:00.000Z')
const alice = { userId: 'alice', clusterId: 'prod' }
const READ = ['get', 'list', 'watch']
const everything = [
  ruleOf({ verbs: ['*'], apiGroups: ['*'], resources: ['*'] }),
  ruleOf({ verbs: ['*'], nonResourceUrls: ['*'] }),
]

/** Alice has these rules through one grant on the cluster "prod"; everywhere unless said otherwise. */
const having = (rules: readonly PolicyRule[], grant: Partial<Grant> = {}): Snapshot =>
  snapshotOf({
    users: [{ id: 'alice', groupIds: ['ops'] }],
    groups: [{ id: 'ops' }],
    roles: [{ id: 'role', rules }],
    grants: [
      {
        id: 'grant',
        subjects: [{ kind: 'user', id: 'alice' }],
        roleId: 'role',
        clusters: { clusterIds: ['prod'] },
        namespaces: { all: true, names: [] },
        ...grant,
      },
    ],
    clusters: [
      {
        id: 'prod',
        labels: { env: 'prod' },
        namespaces: new Map([
          ['default', { team: 'a' }],
          ['shop', { team: 'b' }],
        ]),
      },
    ],
  })

const requested = (snapshot: Snapshot, request: string, at = now) => {
  const [method = '', target = ''] = request.split(' ')
  return decide(snapshot, alice, parseRequestInfo(method, target), at)
}
const outcome = (snapshot: Snapshot, request: string, at = now) =>
  requested(snapshot, request, at).outcome

const pod = '/api/v1/namespaces/default/pods/web'

test.each<{ name: string; rules: Partial<PolicyRule>; allows: string[]; denies: string[] }>([
  {
    name: 'a rule gives the verbs, groups and resources that it names',
    rules: { verbs: ['get'], apiGroups: ['apps'], resources: ['deployments'] },
    allows: ['GET /apis/apps/v1/namespaces/default/deployments/web'],
    denies: [
      'GET /apis/apps/v1/namespaces/default/deployments',
      'DELETE /apis/apps/v1/namespaces/default/deployments/web',
      'GET /apis/extensions/v1/namespaces/default/deployments/web',
      'GET /apis/apps/v1/namespaces/default/deployments/web/scale',
      'GET /apis/apps/v1/namespaces/default/replicasets/web',
    ],
  },
  {
    name: 'a resource does not give its subresources',
    rules: { verbs: ['*'], resources: ['pods'] },
    allows: [`GET ${pod}`, `DELETE ${pod}`],
    denies: [`GET ${pod}/log`, `POST ${pod}/exec`, `PATCH ${pod}/ephemeralcontainers`],
  },
  {
    name: '"pods/*" gives nothing',
    rules: { verbs: ['*'], resources: ['pods/*'] },
    allows: [],
    denies: [`GET ${pod}`, `GET ${pod}/log`, `POST ${pod}/exec`],
  },
  {
    name: '"*/scale" gives the scale of everything and nothing else',
    rules: { verbs: ['*'], apiGroups: ['*'], resources: ['*/scale'] },
    allows: ['PATCH /apis/apps/v1/namespaces/default/deployments/web/scale'],
    denies: [
      'GET /apis/apps/v1/namespaces/default/deployments/web',
      'GET /apis/apps/v1/namespaces/default/deployments/web/status',
      'GET /apis/apps/v1/namespaces/default/x/web/autoscale',
    ],
  },
  {
    name: '"*" gives every resource and subresource, but not what has no verb',
    rules: { verbs: ['*'], apiGroups: ['*'], resources: ['*'] },
    allows: [`GET ${pod}`, `POST ${pod}/exec`, 'GET /apis/x.example/v1/widgets/w/deep'],
    denies: [`OPTIONS ${pod}`, `FOO ${pod}`, `get ${pod}`, 'GET /metrics'],
  },
  {
    name: 'a rule for names gives lists only of one name, and no creating or emptying',
    rules: { verbs: ['*'], resources: ['configmaps'], resourceNames: ['web'] },
    allows: [
      'GET /api/v1/namespaces/default/configmaps/web',
      'DELETE /api/v1/namespaces/default/configmaps/web',
      'GET /api/v1/namespaces/default/configmaps?fieldSelector=metadata.name%3Dweb',
      'GET /api/v1/namespaces/default/configmaps?watch=1&fieldSelector=metadata.name%3Dweb',
    ],
    denies: [
      'GET /api/v1/namespaces/default/configmaps/other',
      'GET /api/v1/namespaces/default/configmaps',
      'GET /api/v1/namespaces/default/configmaps?watch=1',
      'GET /api/v1/namespaces/default/configmaps?fieldSelector=metadata.name%21%3Dweb',
      'GET /api/v1/namespaces/default/configmaps?limit=x&fieldSelector=metadata.name%3Dweb',
      'POST /api/v1/namespaces/default/configmaps',
      'DELETE /api/v1/namespaces/default/configmaps',
      'DELETE /api/v1/namespaces/default/configmaps?fieldSelector=metadata.name%3Dweb',
    ],
  },
  {
    name: 'a rule for the empty name does not give what has no name',
    rules: { verbs: ['*'], resources: ['configmaps'], resourceNames: [''] },
    allows: [],
    denies: [
      'GET /api/v1/namespaces/default/configmaps',
      'POST /api/v1/namespaces/default/configmaps',
    ],
  },
  {
    name: 'a URL is matched exactly, or by the part before a last "*"',
    rules: { verbs: ['get'], nonResourceUrls: ['/metrics', '/logs/*', '/x/*/y'] },
    allows: ['GET /metrics', 'GET /logs/a/b', 'GET /logs/', 'GET /x/*/y'],
    denies: ['GET /metrics/a', 'GET /logs', 'GET /x/a/y', 'POST /metrics', 'HEAD /metrics'],
  },
])('$name', ({ rules, allows, denies }) => {
  const snapshot = having([ruleOf(rules)])
  expect(allows.filter((request) => outcome(snapshot, request) !== 'allow')).toEqual([])
  expect(denies.filter((request) => outcome(snapshot, request) !== 'deny')).toEqual([])
})

test.each(['exec', 'attach', 'portforward'])('%s over WebSocket needs create beside get', (sub) => {
  const reads = having([ruleOf({ verbs: READ, apiGroups: ['*'], resources: ['*'] })])
  expect(outcome(reads, `GET ${pod}/${sub}`)).toBe('deny')
  const creates = having([ruleOf({ verbs: ['create'], resources: [`pods/${sub}`] })])
  expect(outcome(creates, `GET ${pod}/${sub}`)).toBe('deny')
  expect(outcome(creates, `POST ${pod}/${sub}`)).toBe('allow')
  const both = having([ruleOf({ verbs: ['get', 'create'], resources: [`pods/${sub}`] })])
  expect(outcome(both, `GET ${pod}/${sub}`)).toBe('allow')
})

test.each(['pods', 'services'])(
  'what goes through %s/proxy may write, whatever the method',
  (it) => {
    const path = `/api/v1/namespaces/default/${it}/web/proxy/metrics`
    const reads = having([ruleOf({ verbs: READ, resources: ['*', `${it}/proxy`] })])
    expect(outcome(reads, `GET ${path}`)).toBe('deny')
    const writes = having([ruleOf({ verbs: ['get', 'create'], resources: [`${it}/proxy`] })])
    expect(outcome(writes, `GET ${path}`)).toBe('allow')
    expect(outcome(writes, `DELETE ${path}`)).toBe('deny')
  },
)

test('nodes/proxy runs commands on nodes: only a rule that says so gives it', () => {
  const request = 'GET /api/v1/nodes/n/proxy/exec/ns/pod/c'
  expect(outcome(having(everything), request)).toBe('deny')
  expect(outcome(having([ruleOf({ verbs: ['*'], resources: ['*/proxy'] })]), request)).toBe('deny')
  const named = having([ruleOf({ verbs: ['*'], apiGroups: ['*'], resources: ['nodes/proxy'] })])
  expect(outcome(named, request)).toBe('allow')
  expect(requested(having(everything), request).reason).toContain('must name by itself')
})

test('impersonation is never given by a wildcard', () => {
  const asked = resourceAttributes({ verb: 'impersonate', resource: 'users', name: 'bob' })
  expect(decide(having(everything), alice, asked, now).outcome).toBe('deny')
  const named = having([ruleOf({ verbs: ['impersonate'], resources: ['users'] })])
  expect(decide(named, alice, asked, now).outcome).toBe('allow')
})

test.each([
  { namespaces: { all: false, names: ['default'] }, reached: ['default'] },
  { namespaces: { all: false, names: ['d*t'] }, reached: ['default'] },
  { namespaces: { all: false, names: ['*'] }, reached: ['default', 'shop', 'unseen'] },
  { namespaces: { all: false, names: ['*s*', 'x*'] }, reached: ['shop', 'unseen'] },
  {
    namespaces: {
      all: false,
      names: [],
      labels: { matchLabels: { team: 'b' }, matchExpressions: [] },
    },
    reached: ['shop'],
  },
  {
    namespaces: {
      all: false,
      names: [],
      labels: {
        matchLabels: {},
        matchExpressions: [{ key: 'team', operator: 'NotIn', values: ['a'] }],
      },
    },
    reached: ['shop'],
  },
  {
    namespaces: { all: false, names: [], labels: { matchLabels: {}, matchExpressions: [] } },
    reached: ['default', 'shop'],
  },
  { namespaces: { all: false, names: [] }, reached: [] },
])('a grant in $namespaces reaches $reached and not the cluster', ({ namespaces, reached }) => {
  const snapshot = having(everything, { namespaces })
  const allowed = ['default', 'shop', 'unseen'].filter(
    (one) => outcome(snapshot, `GET /api/v1/namespaces/${one}/pods`) === 'allow',
  )
  expect(allowed).toEqual(reached)
  for (const request of ['GET /api/v1/pods', 'GET /api/v1/nodes', 'GET /metrics']) {
    expect(outcome(snapshot, request)).toBe('deny')
  }
})

test('who may read his namespace reads the namespace itself, and no other', () => {
  const snapshot = having([ruleOf({ verbs: ['get'], resources: ['namespaces'] })], {
    namespaces: { all: false, names: ['default'] },
  })
  expect(outcome(snapshot, 'GET /api/v1/namespaces/default')).toBe('allow')
  expect(outcome(snapshot, 'GET /api/v1/namespaces/shop')).toBe('deny')
  expect(outcome(snapshot, 'GET /api/v1/namespaces')).toBe('deny')
})

test.each([
  { clusters: { clusterIds: ['prod'] }, expected: 'allow' },
  { clusters: { clusterIds: ['other'] }, expected: 'deny' },
  { clusters: { clusterIds: [] }, expected: 'deny' },
  {
    clusters: { clusterIds: [], labels: { matchLabels: { env: 'prod' }, matchExpressions: [] } },
    expected: 'allow',
  },
  {
    clusters: { clusterIds: [], labels: { matchLabels: {}, matchExpressions: [] } },
    expected: 'allow',
  },
  {
    clusters: {
      clusterIds: [],
      labels: {
        matchLabels: {},
        matchExpressions: [{ key: 'env', operator: 'Matches', values: ['prod'] }],
      },
    },
    expected: 'deny',
  },
])('a grant for the clusters $clusters: $expected', ({ clusters, expected }) => {
  expect(outcome(having(everything, { clusters }), `GET ${pod}`)).toBe(expected)
})

test('a grant holds from its begin on, and no longer at its end', () => {
  const snapshot = having(everything, {
    notBefore: '2026-03-01T12:00:00.000Z',
    notAfter: '2026-03-01T13:00:00.000Z',
  })
  expect(outcome(snapshot, `GET ${pod}`, new Date('2026-03-01T11:59:59.999Z'))).toBe('deny')
  expect(outcome(snapshot, `GET ${pod}`, new Date('2026-03-01T12:00:00.000Z'))).toBe('allow')
  expect(outcome(snapshot, `GET ${pod}`, new Date('2026-03-01T12:59:59.999Z'))).toBe('allow')
  expect(outcome(snapshot, `GET ${pod}`, new Date('2026-03-01T13:00:00.000Z'))).toBe('deny')
})

test.each([{ notBefore: 'soon' }, { notAfter: 'never' }, { notAfter: '' }])(
  'a grant whose times are malformed gives nothing: %o',
  (times) => {
    expect(outcome(having(everything, times), `GET ${pod}`)).toBe('deny')
  },
)

test('an unknown moment gives nothing', () => {
  expect(outcome(having(everything), `GET ${pod}`, new Date(Number.NaN))).toBe('deny')
})

test('a group gives its grants to members, as long as the group exists', () => {
  const snapshot = having(everything, { subjects: [{ kind: 'group', id: 'ops' }] })
  expect(outcome(snapshot, `GET ${pod}`)).toBe('allow')
  expect(outcome({ ...snapshot, groups: new Map() }, `GET ${pod}`)).toBe('deny')
  const left = snapshotOf({ users: [{ id: 'alice' }] }).users
  expect(outcome({ ...snapshot, users: left }, `GET ${pod}`)).toBe('deny')
})

test('an id counts only with its kind', () => {
  const snapshot = having(everything, { subjects: [{ kind: 'group', id: 'alice' }] })
  expect(outcome(snapshot, `GET ${pod}`)).toBe('deny')
  expect(outcome(having(everything, { subjects: [{ kind: '', id: 'alice' }] }), `GET ${pod}`)).toBe(
    'deny',
  )
})

test.each([
  { what: 'users', without: { users: new Map() } },
  { what: 'roles', without: { roles: new Map() } },
  { what: 'grants', without: { grants: new Map() } },
  { what: 'clusters', without: { clusters: new Map() } },
])('whoever has all rights has none when the $what are gone', ({ without }) => {
  expect(outcome({ ...having(everything), ...without }, `GET ${pod}`)).toBe('deny')
  expect(outcome({ ...having(everything), ...without }, 'GET /version')).toBe('deny')
})

test('a disabled user has nothing, not even discovery', () => {
  const { users } = snapshotOf({ users: [{ id: 'alice', disabled: true }] })
  const snapshot = { ...having(everything), users }
  for (const request of [`GET ${pod}`, 'GET /version', 'GET /apis']) {
    expect(requested(snapshot, request)).toMatchObject({
      outcome: 'deny',
      reason: expect.stringContaining('the user is disabled'),
    })
  }
})

test('labels named like parts of an object select nothing by accident', () => {
  const labels = {
    matchLabels: {},
    matchExpressions: [{ key: 'constructor', operator: 'Exists', values: [] }],
  }
  const snapshot = having(everything, { clusters: { clusterIds: [], labels } })
  expect(outcome(snapshot, `GET ${pod}`)).toBe('deny')
})
