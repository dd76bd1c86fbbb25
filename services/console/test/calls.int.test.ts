import { Rejection } from '@postern/errors'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { parse } from 'yaml'
import type { HttpRoute } from '../src/transcoding/http-rule.ts'
import { readPublicApi } from '../src/transcoding/public-api-codec.ts'
import { ADMIN, NOBODY } from './fake-services.ts'
import { type Ask, type RunningConsole, runConsole } from './running-console.ts'

let console: RunningConsole

beforeAll(async () => {
  console = await runConsole()
})

beforeEach(() => {
  console.services.answer(() => undefined)
  console.services.arrived.splice(0)
})

afterAll(async () => {
  await console.stop()
})

const { routes } = readPublicApi()
const open = routes.filter(({ isSignedOut }) => isSignedOut)
const closed = routes.filter(({ isSignedOut }) => !isSignedOut)
/** With a value of its type in each place of the path. */
const pathOf = ({ template, method }: Pick<HttpRoute, 'template' | 'method'>) =>
  template.replaceAll(/\{([a-z_]+)\}/g, (_, name: string) =>
    isText(method, name) ? 'some%2Fname' : '7',
  )
const isText = (method: HttpRoute['method'], name: string) =>
  method.input.fields.some((field) => field.name === name && field.scalar === TEXT)
const TEXT = 9
const bodyFor = ({ hasBody }: { hasBody: boolean }): Ask => (hasBody ? { body: {} } : {})

test('every call of a user is reachable by its route, and made in his name', async () => {
  expect(routes.length).toBeGreaterThan(35)
  for (const route of routes) {
    const { verb, template, method, pathFields } = route
    console.services.arrived.splice(0)
    const token = route.isSignedOut ? {} : { token: ADMIN }
    const answer = await console.ask(verb, pathOf(route), { ...bodyFor(route), ...token })
    expect([template, answer.status]).toEqual([template, 200])
    const [arrived, ...more] = console.services.arrived
    expect(more).toEqual([])
    expect(arrived?.rpc).toBe(`${method.parent.typeName}/${method.name}`)
    expect(arrived?.call.user?.userName).toBe(route.isSignedOut ? undefined : 'root')
    for (const [field, name] of pathFields) {
      const value = String(arrived?.request[name])
      expect(value).toBe(isText(method, field) ? 'some/name' : '7')
    }
  }
})

test('without a token, or with one that is nobody’s, nobody gets beyond set-up and login', async () => {
  expect(open.map(({ method }) => method.name).toSorted()).toEqual(['Login', 'SetUp'])
  for (const route of closed) {
    for (const headers of [
      [],
      ['Authorization', 'Bearer'],
      ['Authorization', `Basic ${ADMIN}`],
      ['Authorization', `Bearer ${NOBODY}`],
      ['Authorization', `Bearer ${ADMIN} ${ADMIN}`],
      ['Authorization', `Bearer ${ADMIN}`, 'Authorization', `Bearer ${ADMIN}`],
      ['Authorization', `Bearer ${NOBODY}`, 'authorization', `Bearer ${ADMIN}`],
    ]) {
      const asked = { ...bodyFor(route), headers }
      const answer = await console.ask(route.verb, pathOf(route), asked)
      expect([route.template, headers, answer.status]).toEqual([route.template, headers, 401])
      expect(answer.headers['www-authenticate']).toBe('Bearer')
    }
  }
  expect(console.services.arrived).toEqual([])
}, 60_000)

test.each<{ name: string; status: number; reason?: string; path?: string; ask: Ask }>([
  { name: 'broken JSON', status: 400, ask: { body: '{"name": "a"' } },
  { name: 'no JSON at all', status: 400, ask: { body: 'name=a' } },
  { name: 'a list', status: 400, reason: 'BODY_NOT_OBJECT', ask: { body: '[]' } },
  { name: 'a text', status: 400, reason: 'BODY_NOT_OBJECT', ask: { body: '"x"' } },
  { name: 'an unknown field', status: 400, reason: 'INVALID_REQUEST', ask: { body: { nme: 'a' } } },
  { name: 'another type', status: 400, reason: 'INVALID_REQUEST', ask: { body: { name: 1 } } },
  {
    name: 'an unknown name of an enum',
    status: 400,
    reason: 'INVALID_REQUEST',
    path: '/v1/users',
    ask: { body: { name: 'a', kind: 'USER_KIND_GOD' } },
  },
  { name: 'a prototype', status: 400, ask: { body: '{"__proto__": {"name": "a"}}' } },
  { name: 'a constructor', status: 400, ask: { body: '{"constructor": {"prototype": {}}}' } },
  {
    name: 'a field that stands in the path too',
    status: 400,
    reason: 'FIELD_TWICE',
    path: '/v1/groups/devs/members',
    ask: { body: { group: 'admins', user: 'mallory' } },
  },
  {
    name: 'a parameter that there is not',
    status: 400,
    reason: 'UNKNOWN_PARAMETER',
    path: '/v1/groups?dry_run=true',
    ask: { body: { name: 'a' } },
  },
  {
    name: 'another content type',
    status: 415,
    ask: { body: '<a/>', headers: ['Content-Type', 'application/xml'] },
  },
  {
    name: 'a content type that a form of any site can send',
    status: 415,
    ask: { body: '{"name":"a"}', headers: ['Content-Type', 'text/plain'] },
  },
  { name: 'more than a megabyte', status: 413, ask: { body: { name: 'x'.repeat(1 << 20) } } },
])('a request with $name is refused, and reaches nobody', async ({ status, reason, path, ask }) => {
  const answer = await console.ask('POST', path ?? '/v1/groups', { token: ADMIN, ...ask })
  expect(answer.status).toBe(status)
  expect(answer.headers['content-type']).toMatch(/^application\/problem\+json/)
  expect(answer.json).toMatchObject({ type: 'about:blank', status, detail: expect.any(String) })
  expect(answer.json).toMatchObject(reason === undefined ? {} : { reason })
  expect(console.services.arrived).toEqual([])
})

test('what is in the path stays one value, and query parameters arrive as what they are', async () => {
  await console.ask('GET', '/v1/users/a%2F..%2Fb%3Fx', { token: ADMIN })
  expect(console.services.arrived[0]?.request).toEqual({ user: 'a/../b?x' })
  await console.ask('GET', '/v1/sessions?user=%2A&ended=true&page_size=7', { token: ADMIN })
  expect(console.services.arrived[1]?.request).toMatchObject({
    user: '*',
    ended: true,
    pageSize: 7,
  })
  for (const query of ['ended=yes', 'page_size=-1', 'page_size=x', 'user=a&user=b', 'x=1']) {
    const answer = await console.ask('GET', `/v1/sessions?${query}`, { token: ADMIN })
    expect([query, answer.status]).toEqual([query, 400])
  }
  expect(console.services.arrived).toHaveLength(2)
})

test('what is no call is said to be none', async () => {
  for (const [method, path] of [
    ['GET', '/'],
    ['GET', '/v1/nothing'],
    ['PATCH', '/v1/groups'],
    ['HEAD', '/v1/kubeconfig'],
    ['POST', '/v1/logs/nobody/rebuild'],
    ['GET', '/postern.identity.v1.UserService/ListUsers'],
    ['GET', '/v1/users/%ZZ'],
  ] as const) {
    const answer = await console.ask(method, path, {
      token: ADMIN,
      ...(method === 'POST' ? { body: {} } : {}),
    })
    expect([path, answer.status]).toEqual([path, path.includes('%ZZ') ? 400 : 404])
  }
  expect(console.services.arrived).toEqual([])
})

test.each<[category: ConstructorParameters<typeof Rejection>[1], status: number]>([
  ['invalid_argument', 400],
  ['unauthenticated', 401],
  ['permission_denied', 403],
  ['not_found', 404],
  ['already_exists', 409],
  ['failed_precondition', 409],
  ['resource_exhausted', 429],
  ['unavailable', 503],
])(
  'a rule that says no by %s answers %i, with its reason and words (RFC 9457)',
  async (category, status) => {
    console.services.answer(() => {
      throw new Rejection('SOME_RULE', category, 'because “so”', { limit: 3, name: 'ä' })
    })
    const answer = await console.ask('POST', '/v1/groups', { token: ADMIN, body: {} })
    expect(answer.status).toBe(status)
    expect(answer.json).toEqual({
      type: 'about:blank',
      status,
      title: expect.any(String),
      detail: 'because “so”',
      reason: 'SOME_RULE',
      details: { limit: 3, name: 'ä' },
    })
  },
)

test('a bug of a service is told without its words, with the trace that its log has', async () => {
  console.services.answer(() => {
    throw new Error('password of the database: hunter2')
  })
  const answer = await console.ask('POST', '/v1/groups', { token: ADMIN, body: {} })
  expect(answer.status).toBe(500)
  expect(answer.text).not.toContain('hunter2')
  expect(answer.json).toMatchObject({ traceId: expect.stringMatching(/^[0-9a-f]{32}$/) })
})

test('nothing that it answers is kept by anyone on the way, and browsers are told so', async () => {
  console.services.answer(({ rpc }) => (rpc.endsWith('/WhoAmI') ? { userName: 'root' } : undefined))
  for (const [path, ask] of [
    ['/v1/whoami', { token: ADMIN }],
    ['/v1/whoami', {}],
    ['/nothing', {}],
    ['/openapi.json', {}],
  ] as const) {
    const { headers } = await console.ask('GET', path, ask)
    expect(headers).toMatchObject({
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      'strict-transport-security': expect.stringContaining('max-age='),
      'content-security-policy': expect.stringContaining("default-src 'self'"),
    })
    expect(headers['access-control-allow-origin']).toBeUndefined()
    expect(headers['x-powered-by']).toBeUndefined()
  }
})

test('a kubeconfig has a token of its own and the clusters that the user may use', async () => {
  console.services.answer(({ rpc, request }) => {
    if (rpc.endsWith('/ListClusters')) {
      return request['pageToken'] === ''
        ? { clusters: [{ name: 'prod' }], nextPageToken: 'prod' }
        : { clusters: [{ name: 'test' }] }
    }
    if (rpc.endsWith('/GetCluster')) return { cluster: { name: 'prod' } }
    if (rpc.endsWith('/WhoAmI')) return { userName: 'alice' }
    if (rpc.endsWith('/IssueToken')) return { secret: 'ptk_of_the_file' }
    return undefined
  })
  const all = await console.ask('GET', '/v1/kubeconfig', { token: ADMIN })
  expect(all.headers).toMatchObject({
    'content-type': expect.stringContaining('application/yaml'),
    'content-disposition': 'attachment; filename="postern.kubeconfig"',
    'cache-control': 'no-store',
  })
  expect(parse(all.text)).toMatchObject({
    kind: 'Config',
    'current-context': '',
    clusters: [
      {
        name: 'postern-prod',
        cluster: {
          server: 'https://prod.gateway.example.com:8443',
          'certificate-authority-data': Buffer.from(console.ca).toString('base64'),
        },
      },
      { name: 'postern-test' },
    ],
    users: [{ user: { token: 'ptk_of_the_file' } }, { user: { token: 'ptk_of_the_file' } }],
  })
  expect(all.text).not.toContain(ADMIN)

  const one = await console.ask('GET', '/v1/kubeconfig?cluster=prod', { token: ADMIN })
  expect(parse(one.text)).toMatchObject({ 'current-context': 'postern-prod' })

  const issued = () =>
    console.services.arrived.filter(({ rpc }) => rpc.endsWith('/IssueToken')).length
  const before = issued()
  for (const query of ['cluster=a&cluster=b', 'cluster=', 'clusters=a', 'cluster=a&x=1']) {
    const answer = await console.ask('GET', `/v1/kubeconfig?${query}`, { token: ADMIN })
    expect([query, answer.status]).toEqual([query, 400])
  }
  console.services.answer(() => ({ clusters: [] }))
  const none = await console.ask('GET', '/v1/kubeconfig', { token: ADMIN })
  expect(none).toMatchObject({ status: 409, json: { reason: 'NO_CLUSTERS' } })
  expect(issued()).toBe(before)
})

test('projections are rebuilt at the service that the path names', async () => {
  console.services.answer(() => ({
    pos: 7n,
    projections: [{ projection: 'sessions', events: 7n, equal: true }],
  }))
  for (const service of ['identity', 'policy', 'session', 'tunnel-broker', 'audit']) {
    const path = `/v1/logs/${service}/rebuild`
    const answer = await console.ask('POST', path, { token: ADMIN, body: { verify: true } })
    expect(answer.json).toEqual({
      pos: '7',
      projections: [{ projection: 'sessions', events: '7', equal: true }],
    })
    expect(console.services.arrived.at(-1)?.request).toEqual({ verify: true })
  }
  const refused = await console.ask('POST', '/v1/logs/audit/rebuild', {
    token: ADMIN,
    body: { verify: 'yes' },
  })
  expect(refused.status).toBe(400)
  expect((await console.ask('POST', '/v1/logs/audit/rebuild', { body: {} })).status).toBe(401)
})
