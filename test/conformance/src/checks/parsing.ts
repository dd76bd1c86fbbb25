import { deepStrictEqual, ok } from 'node:assert/strict'
import type { Check } from '../check.ts'
import { bytesOf, type Order, overHttp1, overHttp2, rawly } from '../client.ts'
import { expectMatch, expectNothingArrived, expectRefused, expectStatus } from '../expect.ts'
import type { RecordingWorld } from '../recording/recording-world.ts'

const PODS = '/api/v1/namespaces/a/pods'
const SECRETS = '/api/v1/namespaces/a/secrets'
const ROOT = 'Impersonate-User: root'

/** Bytes that HTTP parsers read in different ways. What stands behind them must never be read. */
const AMBIGUOUS: readonly {
  readonly id: string
  readonly name: string
  readonly statuses?: readonly number[]
  readonly bytes: (world: RecordingWorld) => string
}[] = [
  { id: 'PN-19', name: 'two Host lines', bytes: get({ lines: ['Host: other'] }) },
  { id: 'PN-19', name: 'no Host line', bytes: (world) => get()(world).replace(/Host: .*\r\n/, '') },
  { id: 'PN-20', name: 'no HTTP version', bytes: () => `GET ${PODS}\r\n\r\n` },
  {
    id: 'PN-21',
    name: 'HTTP/1.0',
    statuses: [400, 505],
    bytes: (world) => get()(world).replace('HTTP/1.1', 'HTTP/1.0'),
  },
  {
    id: 'PN-22',
    name: 'Transfer-Encoding: gzip, chunked',
    statuses: [400, 501],
    bytes: post(['Transfer-Encoding: gzip, chunked'], '0\r\n\r\n'),
  },
  {
    id: 'PN-22',
    name: 'two Transfer-Encoding lines',
    bytes: post(['Transfer-Encoding: chunked', 'Transfer-Encoding: chunked'], '0\r\n\r\n'),
  },
  { id: 'PN-23', name: 'a folded header', bytes: get({ lines: ['X-A: 1', ` ${ROOT}`] }) },
  {
    id: 'PN-24',
    name: 'a length and chunks',
    bytes: post(['Content-Length: 5', 'Transfer-Encoding: chunked'], '0\r\n\r\n'),
  },
  {
    id: 'PN-24',
    name: 'two equal lengths',
    bytes: post(['Content-Length: 2', 'Content-Length: 2'], '{}'),
  },
  { id: 'PN-24', name: 'a length with a sign', bytes: post(['Content-Length: +2'], '{}') },
  { id: 'PN-24', name: 'a list of lengths', bytes: post(['Content-Length: 2, 2'], '{}') },
  {
    id: 'PN-24',
    name: 'a space before the colon',
    bytes: get({ lines: ['Impersonate-User : root'] }),
  },
  { id: 'PN-24', name: 'a bare line feed', bytes: get({ lines: [`X-A: 1\n${ROOT}`] }) },
  { id: 'PN-24', name: 'a bare carriage return', bytes: get({ lines: [`X-A: 1\r${ROOT}`] }) },
  { id: 'PN-24', name: 'a NUL in a header', bytes: get({ lines: [`X-A: 1\u0000${ROOT}`] }) },
  {
    id: 'PN-29',
    name: 'h2c',
    bytes: get({
      lines: [
        'Connection: Upgrade, HTTP2-Settings',
        'Upgrade: h2c',
        'HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA',
      ],
    }),
  },
]

/** A request to which the recording API server answers, and the same with more to it. */
function get(order: Partial<Order> = {}): (world: RecordingWorld) => string {
  return (world) => bytesOf(world, { target: PODS, ...order })
}

function post(framing: readonly string[], body: string): (world: RecordingWorld) => string {
  const lines = ['Content-Type: application/json', ...framing]
  return (world) => get({ method: 'POST', lines })(world) + body
}

const ambiguous: Check[] = AMBIGUOUS.map(({ id, name, statuses = [400], bytes }) => ({
  id,
  title: `${name}: one refusal, the connection closed, what is smuggled behind it never read`,
  async run(worlds) {
    const world = await worlds.recording()
    const reply = await rawly(world, bytes(world) + get({ target: SECRETS })(world))
    expectRefused(world, reply, ...statuses)
    deepStrictEqual(reply.text.match(/^HTTP\/1\.1 /gm)?.length, 1, 'there is one answer')
    ok(reply.closed, 'the connection is closed')
  },
}))

export const parsingChecks: readonly Check[] = [
  ...ambiguous,
  {
    id: 'PN-16',
    title: 'a trailing slash is authorized and forwarded without it',
    async run(worlds) {
      const world = await worlds.recording()
      expectStatus(await overHttp1(world, { target: `${SECRETS}/` }), 200)
      deepStrictEqual(
        world.api.arrived.map(({ target }) => target),
        [SECRETS],
      )
    },
  },
  {
    id: 'PN-18',
    title: 'CONNECT, TRACE and the target * are refused',
    async run(worlds) {
      const world = await worlds.recording()
      for (const order of [
        { method: 'CONNECT', target: 'other:443' },
        { method: 'TRACE', target: PODS },
        { method: 'OPTIONS', target: '*' },
        { method: 'GET', target: '*' },
      ]) {
        const reply = await rawly(world, bytesOf(world, order))
        expectRefused(world, reply, 400, 405)
        ok(reply.closed, 'the connection is closed')
      }
    },
  },
  {
    id: 'PN-24',
    title: 'a malformed chunk ends both sides, and what follows is not read as a request',
    async run(worlds) {
      const world = await worlds.recording()
      for (const body of [
        'zz\r\n{}\r\n0\r\n\r\n',
        '-1\r\n',
        'ffffffffffffffffff\r\n{',
        '2\n{}\n0\n\n',
      ]) {
        const bytes =
          post(['Transfer-Encoding: chunked'], body)(world) + get({ target: SECRETS })(world)
        const reply = await rawly(world, bytes)
        ok(reply.status === 0 || reply.status >= 400, `${reply.status} for ${JSON.stringify(body)}`)
        ok(reply.closed, 'the connection is closed')
        deepStrictEqual(
          world.api.arrived.filter(({ target, body: whole }) => target === SECRETS || whole),
          [],
          'nothing arrives whole, and nothing behind it',
        )
      }
    },
  },
  {
    id: 'PN-25',
    title: 'trailers and chunk extensions are dropped',
    async run(worlds) {
      const world = await worlds.recording()
      const body = `2;ext=1\r\n{}\r\n0\r\n${ROOT}\r\nX-Remote-User: root\r\n\r\n`
      const lines = ['Transfer-Encoding: chunked', 'Trailer: Impersonate-User']
      const reply = await rawly(world, post(lines, body)(world), (text) => text.includes('{}'))
      expectStatus(reply, 200)
      const [arrived] = world.api.arrived
      deepStrictEqual(arrived?.body?.toString(), '{}')
      deepStrictEqual(arrived?.trailers, [])
      ok(!/impersonate|trailer|x-remote/i.test(JSON.stringify(arrived?.headers)))
    },
  },
  {
    id: 'PN-26',
    title: 'an h2 method that Kubernetes does not know does not arrive',
    async run(worlds) {
      const world = await worlds.recording()
      for (const method of ['get', 'FOO', 'TRACE', 'PRI', 'GET ', 'post']) {
        expectRefused(world, await overHttp2(world, { method, target: PODS }), 405, 400, 0)
      }
    },
  },
  {
    id: 'PN-26',
    title: 'a method in a header is not believed',
    async run(worlds) {
      const world = await worlds.recording()
      const lines = ['X-HTTP-Method-Override: DELETE', 'X-Method-Override: DELETE']
      expectStatus(await overHttp1(world, { target: PODS, lines }), 200)
      const [arrived] = world.api.arrived
      deepStrictEqual(arrived?.method, 'GET')
      ok(!/override/i.test(JSON.stringify(arrived?.headers)))
    },
  },
  {
    id: 'PN-27',
    title: 'a Host that differs from :authority is refused',
    async run(worlds) {
      const world = await worlds.recording()
      const reply = await overHttp2(world, { target: PODS, headers: { host: 'alpha.localhost' } })
      expectRefused(world, reply, 400, 0)
    },
  },
  {
    id: 'PN-28',
    title: 'an h2 body that is not as long as it says is never carried out',
    async run(worlds) {
      const world = await worlds.recording()
      for (const length of ['1', '9']) {
        const headers = { 'content-length': length, 'content-type': 'application/json' }
        const order = { method: 'POST', target: PODS, headers, body: '{"a"}' }
        const reply = await overHttp2(world, order)
        ok(reply.status === 0 || reply.status >= 400, `${reply.status} ${reply.text}`)
        deepStrictEqual(world.api.arrived.filter(({ body }) => body !== undefined).length, 0)
      }
    },
  },
  {
    id: 'PN-28',
    title: 'pseudo-headers do not become headers',
    async run(worlds) {
      const world = await worlds.recording()
      expectStatus(await overHttp2(world, { target: PODS }), 200)
      const names = world.api.arrived[0]?.headers.map(([name]) => name) ?? []
      deepStrictEqual(
        names.filter((name) => name.startsWith(':') || name.toLowerCase() === 'scheme'),
        [],
      )
    },
  },
  {
    id: 'PN-30',
    title: 'a head of 100 KB passes, over h1 and as an exec; one beyond a MiB is refused',
    async run(worlds) {
      const world = await worlds.recording()
      const target = `${PODS}/p/exec?command=${'a'.repeat(100_000)}`
      expectStatus(await overHttp1(world, { method: 'POST', target }), 200)
      deepStrictEqual(
        world.api.arrived.map((arrived) => arrived.target),
        [target],
      )
      world.api.reset()
      const reply = await overHttp1(world, { target: `${PODS}?x=${'a'.repeat(1_100_000)}` })
      expectRefused(world, reply, 400, 414, 431)
    },
  },
  {
    id: 'PN-30',
    title: 'a body of 3 MiB passes; one beyond 16 MiB is refused and not carried out',
    async run(worlds) {
      const world = await worlds.recording()
      const order = { method: 'POST', target: PODS }
      expectStatus(await overHttp1(world, { ...order, body: 'x'.repeat(3 << 20) }), 200)
      deepStrictEqual(world.api.arrived[0]?.body?.length, 3 << 20)
      world.api.reset()
      const reply = await overHttp1(world, { ...order, body: 'x'.repeat((16 << 20) + 1) })
      expectStatus(reply, 413)
      expectMatch(reply.text, /16 MiB/)
      deepStrictEqual(world.api.arrived.filter(({ body }) => body !== undefined).length, 0)
      world.api.reset()
      expectNothingArrived(world)
    },
  },
]
