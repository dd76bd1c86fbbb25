/** A call of the public API that an administrator makes and that is refused. */
export type RefusedCall = {
  readonly method: string
  readonly path: string
  readonly body: unknown
  readonly status: number
  /** In what it answers. */
  readonly wanted: RegExp
}

type Case = readonly [body: unknown, status: number, wanted: RegExp]

const SOME_ID = '0198f5e2-0000-7000-8000-000000000000'

const posts = (path: string, cases: readonly Case[], method = 'POST'): RefusedCall[] =>
  cases.map(([body, status, wanted]) => ({ method, path, body, status, wanted }))

const refused = (method: string, path: string, status: number, wanted: RegExp): RefusedCall => ({
  method,
  path,
  body: undefined,
  status,
  wanted,
})

const role = (change: object) => ({
  name: 'made-by-a-test',
  rules: [{ verbs: ['get'], apiGroups: [''], resources: ['pods'], ...change }],
})
export const grant = (change: object) => ({
  name: 'made-by-a-test',
  terms: {
    subjects: ['group:developers'],
    role: 'developer',
    clusters: ['alpha'],
    namespaces: { all: true },
    ...change,
  },
})

export const REFUSED_CALLS: readonly RefusedCall[] = [
  ...posts('/v1/users', [
    ['{"name": ', 400, /must be JSON/],
    ['', 400, /JSON|a name has/],
    [[], 400, /not a JSON object/],
    ['"x"', 400, /not a JSON object/],
    ['null', 400, /a name has/],
    ['{"__proto__":{"name":"x"}}', 400, /./],
    [{ name: 'x', admin: true }, 400, /admin/],
    [{ name: 7 }, 400, /name/],
    [{ name: 'x', kind: 'USER_KIND_ROOT' }, 400, /kind/i],
    [{}, 400, /a name has 1 to 253/],
    [{ name: '../admin' }, 400, /a name has/],
    [{ name: SOME_ID }, 400, /form of an id/],
    [{ name: 'LEAD' }, 409, /there is a user with this name/],
    [{ name: 'x', password: 'short' }, 400, /12 to 256 characters/],
    [{ name: 'x', displayName: 'a\u0007b' }, 400, /no control characters/],
  ]),
  ...posts('/v1/users/admin/disable', [[{}, 409, /administrator/]]),
  ...posts('/v1/groups', [[{ name: 'developers' }, 409, /there is a group/]]),
  ...posts('/v1/groups/developers/members', [
    [{ user: 'nobody' }, 404, /no such user/],
    [{ group: 'administrators', user: 'lead' }, 400, /path and in the body/],
  ]),
  ...posts('/v1/tokens', [
    [{ user: 'lead', lifetime: '1000000s' }, 400, /one second to twelve hours/],
    [{ user: 'lead', lifetime: '-5s' }, 400, /one second to twelve hours/],
    [{ user: 'lead', lifetime: 'soon' }, 400, /google\.protobuf\.Duration/],
    [{ user: 'nobody' }, 404, /no such user/],
  ]),
  ...posts('/v1/setup', [
    [{ setupToken: 'psu_x', userName: 'me', password: 'a long one' }, 409, /set-up is complete/],
  ]),
  ...posts('/v1/login', [
    [{ userName: 'admin', password: 'not the password' }, 401, /name or the password is wrong/],
    [{ userName: 'nobody', password: 'not the password' }, 401, /name or the password is wrong/],
  ]),
  ...posts('/v1/roles', [
    [{ name: 'x' }, 400, /1 to 100 rules/],
    [role({ resources: ['pods/*'] }), 400, /name each subresource/],
    [role({ resources: ['Pod'] }), 400, /lower case, and plural/],
    [role({ verbs: [] }), 400, /at least one verb/],
    [role({ verbs: ['GET'] }), 400, /lower-case letters/],
    [role({ nonResourceUrls: ['/metrics'] }), 400, /not for both/],
    [role({ resourceNames: ['web-*'] }), 400, /no wildcards here/],
  ]),
  ...posts('/v1/grants', [
    [{ name: 'x' }, 400, /a grant has terms/],
    [grant({ subjects: [] }), 400, /1 to 100 subjects/],
    [grant({ subjects: ['*'] }), 400, /"user:" or "group:"/],
    [grant({ subjects: ['group:nobodies'] }), 404, /group/],
    [grant({ role: 'root' }), 404, /role/],
    [grant({ clusters: ['omega'] }), 404, /cluster/],
    [grant({ clusters: [] }), 400, /names clusters or has a cluster selector/],
    [grant({ namespaces: {} }), 400, /says where it holds/],
    [grant({ namespaces: { names: ['../kube-system'] } }), 400, /DNS label/],
    [grant({ notAfter: '2001-01-01T00:00:00Z' }), 400, /lies in the future/],
    [grant({ notAfter: 'tomorrow' }), 400, /timestamp/i],
  ]),
  ...posts('/v1/clusters', [
    [{ name: 'Big Cluster' }, 400, /name/],
    [{ name: 'alpha', installLevel: 'INSTALL_LEVEL_EDIT' }, 409, /cluster/],
    [{ name: 'x', labels: { a: 7 } }, 400, /labels/],
  ]),
  ...posts('/v1/clusters/omega/join-manifest', [[{}, 404, /cluster/]]),
  ...posts('/v1/clusters/alpha/labels', [[{ labels: { 'a b': 'c' } }, 400, /label/]], 'PUT'),
  refused('DELETE', '/v1/roles/developer', 409, /grants name this role/),
  refused('DELETE', `/v1/sessions/${SOME_ID}`, 404, /no such session/),
  refused('DELETE', '/v1/sessions/x', 400, /id/),
  refused('DELETE', `/v1/tokens/${SOME_ID}`, 404, /no such token/),
  refused('DELETE', '/v1/grants/unheard-of', 404, /no such grant/),
  refused('GET', '/v1/users?sort=name', 400, /parameter/),
  refused('GET', '/v1/users?pageSize=1&pageSize=2', 400, /twice/),
  refused('GET', '/v1/users?pageSize=1000000', 400, /1 to 1000 entries/),
  refused('GET', '/v1/users?pageToken=abc', 400, /not one that this list returned/),
  refused('GET', '/v1/audit/records?pageToken=abc', 400, /page token/),
  refused('GET', '/v1/audit/tiles/99/0', 400, /./),
  refused('GET', '/v1/nothing', 404, /openapi\.json/),
  refused('GET', '/v1/users/..%2f..%2fetc', 404, /no such user/),
  refused('GET', `/v1/users/${'a'.repeat(2000)}`, 414, /too long/),
  refused('GET', '/v1/users/%zz', 400, /./),
]
