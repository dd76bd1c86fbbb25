import { deepStrictEqual, ok } from 'node:assert/strict'
import type { Check } from '../check.ts'
import { bytesOf, outcomeOf, overHttp1, overHttp2, rawly } from '../client.ts'
import { expectMatch, expectNothingArrived, expectRefused, expectStatus } from '../expect.ts'
import type { Arrived } from '../recording/api-server.ts'
import type { RecordingWorld } from '../recording/recording-world.ts'

const PODS = '/api/v1/namespaces/a/pods'
const EXEC = `${PODS}/p/exec?command=id`
const WEBSOCKET = [
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==',
]

const valuesOf = (arrived: Arrived | undefined, wanted: string) =>
  (arrived?.headers ?? [])
    .filter(([name]) => name.toLowerCase() === wanted.toLowerCase())
    .map(([, value]) => value)

const onlyArrived = ({ api }: RecordingWorld): Arrived => {
  const [arrived, ...others] = api.arrived
  ok(arrived !== undefined && others.length === 0, `${api.arrived.length} requests arrived`)
  return arrived
}

export const headerChecks: readonly Check[] = [
  {
    id: 'HH-01',
    title: 'Impersonate-User is refused by name, and the refusal is recorded as a denial',
    async run(worlds) {
      const world = await worlds.recording()
      const lines = ['Impersonate-User: system:admin']
      const reply = await overHttp1(world, { target: PODS, lines })
      expectRefused(world, reply, 403)
      expectMatch(reply.text, /"kind":"Status".*Impersonate-User/s)
      const { annotations, responseStatus } = await outcomeOf(world, reply.auditId)
      deepStrictEqual(annotations['postern.dev/decision'], 'deny')
      deepStrictEqual(responseStatus?.code, 403)
    },
  },
  ...['Impersonate-Uid: 1', 'Impersonate-Extra-x: y', 'Impersonate-Group: system:masters'].map(
    (line): Check => ({
      id: 'HH-02',
      title: `${line} alone is refused, over h1 and h2`,
      async run(worlds) {
        const world = await worlds.recording()
        const [name = '', value = ''] = line.split(': ')
        expectRefused(world, await overHttp1(world, { target: PODS, lines: [line] }), 400, 403)
        const headers = { [name.toLowerCase()]: value }
        expectRefused(world, await overHttp2(world, { target: PODS, headers }), 400, 403)
      },
    }),
  ),
  {
    id: 'HH-03',
    title: 'an identity header that Connection names is refused all the same',
    async run(worlds) {
      const world = await worlds.recording()
      for (const name of ['Impersonate-User', 'X-Remote-User', 'impersonate_user']) {
        const lines = [`Connection: close, ${name}`, `${name}: root`]
        const reply = await rawly(world, bytesOf(world, { target: PODS, lines }))
        expectRefused(world, reply, 400, 403)
      }
    },
  },
  {
    id: 'HH-04',
    title: "a client's Connection takes away nothing that Postern says",
    async run(worlds) {
      const world = await worlds.recording()
      const lines = [
        'Connection: close, Authorization, Impersonate-User, Audit-ID, Traceparent, Host',
      ]
      expectStatus(await rawly(world, bytesOf(world, { target: PODS, lines })), 200)
      const arrived = onlyArrived(world)
      deepStrictEqual(arrived.account, world.account)
      for (const name of ['Authorization', 'Audit-ID', 'Traceparent', 'Host', 'X-Forwarded-For']) {
        deepStrictEqual(valuesOf(arrived, name).length, 1, name)
      }
    },
  },
  {
    id: 'HH-05',
    title: 'X-Remote-* does not arrive, also on errors, upgrades, and without a token',
    async run(worlds) {
      const world = await worlds.recording()
      for (const name of ['User', 'Group', 'Uid', 'Extra-scopes']) {
        const lines = [`X-Remote-${name}: system:masters`]
        for (const order of [
          { target: PODS, lines },
          { target: EXEC, lines: [...lines, ...WEBSOCKET] },
          { target: PODS, lines, token: '' },
          { target: '/api/v1/namespaces//pods', lines },
        ]) {
          const bytes = bytesOf(world, { ...order, lines: ['Connection: close', ...order.lines] })
          expectRefused(world, await rawly(world, bytes), 400, 401, 403)
        }
      }
    },
  },
  {
    id: 'HH-06',
    title: 'where a request came from is what the gateway saw, not what the client says',
    async run(worlds) {
      const world = await worlds.recording()
      const lines = ['X-Forwarded-For: 6.6.6.6', 'X-Real-Ip: 6.6.6.6', 'Forwarded: for=6.6.6.6']
      expectStatus(await overHttp1(world, { target: PODS, lines }), 200)
      const arrived = onlyArrived(world)
      deepStrictEqual(valuesOf(arrived, 'X-Forwarded-For'), ['127.0.0.1'])
      ok(!JSON.stringify(arrived.headers).includes('6.6.6.6'))
    },
  },
  {
    id: 'HH-07',
    title: "the Audit-ID is Postern's own; the client's is only noted",
    async run(worlds) {
      const world = await worlds.recording()
      const reply = await overHttp1(world, { target: PODS, lines: ['Audit-ID: fixed-by-client'] })
      expectStatus(reply, 200)
      const { auditId } = onlyArrived(world)
      ok(auditId !== 'fixed-by-client' && auditId !== '')
      const { annotations } = await outcomeOf(world, auditId)
      deepStrictEqual(annotations['postern.dev/client-audit-id'], 'fixed-by-client')
      deepStrictEqual(reply.auditId, auditId)
    },
  },
  {
    id: 'HH-08',
    title: 'two Authorization lines are 401, and neither token is taken',
    async run(worlds) {
      const world = await worlds.recording()
      for (const value of [`Bearer ${world.token}`, 'Bearer x']) {
        const lines = [`Authorization: ${value}`]
        const reply = await overHttp1(world, { target: PODS, lines })
        expectRefused(world, reply, 401)
        expectMatch(reply.text, /exactly one Authorization/)
      }
    },
  },
  {
    id: 'HH-08',
    title: 'a token in a cookie, in the query or in Proxy-Authorization is none',
    async run(worlds) {
      const world = await worlds.recording()
      for (const lines of [
        [`Cookie: token=${world.token}; authorization=Bearer ${world.token}`],
        [`Proxy-Authorization: Bearer ${world.token}`],
      ]) {
        expectRefused(world, await overHttp1(world, { target: PODS, token: '', lines }), 401)
      }
      const target = `${PODS}?access_token=${world.token}`
      expectRefused(world, await overHttp1(world, { target, token: '' }), 401)
    },
  },
  {
    id: 'HH-09',
    title: "a browser's token in the WebSocket subprotocols is taken, and goes no further",
    async run(worlds) {
      const world = await worlds.recording()
      const bearer = `base64url.bearer.authorization.k8s.io.${Buffer.from(world.token).toString('base64url')}`
      const send = async (protocols: string) => {
        const lines = [...WEBSOCKET, `Sec-WebSocket-Protocol: ${protocols}`]
        return await rawly(world, bytesOf(world, { target: EXEC, token: '', lines }))
      }
      expectStatus(await send(`v4.channel.k8s.io, ${bearer}`), 403)
      const arrived = onlyArrived(world)
      deepStrictEqual(valuesOf(arrived, 'Sec-WebSocket-Protocol'), ['v4.channel.k8s.io'])
      ok(!JSON.stringify(arrived.headers).includes(bearer.slice(-20)))
      world.api.reset()
      // With no other protocol, and twice: kube-apiserver refuses both.
      expectRefused(world, await send(bearer), 401, 400)
      expectRefused(world, await send(`${bearer}, v4.channel.k8s.io, ${bearer}`), 401, 400)
    },
  },
  {
    id: 'HH-10',
    title: 'repeated lines stay repeated lines, in their order',
    async run(worlds) {
      const world = await worlds.recording()
      const versions = [4, 3, 2, 1].map((version) => `v${version}.channel.k8s.io`)
      const lines = [
        'Connection: Upgrade',
        'Upgrade: SPDY/3.1',
        ...versions.map((version) => `X-Stream-Protocol-Version: ${version}`),
      ]
      await rawly(world, bytesOf(world, { method: 'POST', target: EXEC, lines }))
      deepStrictEqual(valuesOf(onlyArrived(world), 'X-Stream-Protocol-Version'), versions)
    },
  },
  {
    id: 'HH-11',
    title:
      'impersonation is not offered: two groups are refused, joined or apart, also to whoever may do all',
    async run(worlds) {
      const world = await worlds.recording()
      for (const lines of [
        ['Impersonate-User: alice', 'Impersonate-Group: g1', 'Impersonate-Group: g2'],
        ['Impersonate-User: alice', 'Impersonate-Group: g1, g2'],
      ]) {
        const reply = await overHttp1(world, { target: PODS, lines })
        expectRefused(world, reply, 403)
        expectMatch(reply.text, /Impersonation \(kubectl --as\) is not available/)
      }
    },
  },
  {
    id: 'HH-12',
    title: 'of an answer only what the allow-list names reaches the client',
    async run(worlds) {
      const world = await worlds.recording()
      const kept = {
        'Content-Type': 'application/json',
        Vary: 'Accept',
        ETag: '"x"',
        'Cache-Control': 'no-cache, private',
        Warning: '299 - "deprecated"',
        'Retry-After': '1',
        'X-Kubernetes-PF-FlowSchema-UID': 'a',
      }
      const dropped = {
        'Set-Cookie': 'a=b',
        'Strict-Transport-Security': 'max-age=1',
        'Access-Control-Allow-Origin': '*',
        'X-Internal': '1',
        Server: 'x',
        'Alt-Svc': 'h3=":443"',
      }
      world.api.handlers.request = (_arrived, response) => {
        response.writeHead(429, { ...kept, ...dropped }).end('{}')
      }
      for (const reply of [await overHttp1(world, { target: PODS })]) {
        expectStatus(reply, 429)
        for (const name of Object.keys(kept))
          expectMatch(reply.text, new RegExp(`^${name}: `, 'im'))
        for (const name of Object.keys(dropped)) {
          ok(!new RegExp(`^${name}:`, 'im').test(reply.text), `${name} reached the client`)
        }
      }
    },
  },
  {
    id: 'HH-12',
    title: 'a redirect becomes 502, on plain requests and upgrades; 304 passes',
    async run(worlds) {
      const world = await worlds.recording()
      const { handlers } = world.api
      for (const status of [301, 302, 303, 307, 308]) {
        handlers.request = (_arrived, response) => {
          response.writeHead(status, { location: 'https://evil.example/' }).end()
        }
        handlers.upgrade = (_arrived, socket) => {
          socket.end(
            `HTTP/1.1 ${status} Moved\r\nLocation: https://evil.example/\r\nContent-Length: 0\r\n\r\n`,
          )
        }
        for (const reply of [
          await overHttp1(world, { target: PODS }),
          await rawly(world, bytesOf(world, { target: EXEC, lines: WEBSOCKET })),
        ]) {
          expectStatus(reply, 502)
          ok(!reply.text.includes('evil.example'))
        }
      }
      handlers.request = (_arrived, response) => void response.writeHead(304, { etag: '"a"' }).end()
      expectStatus(await overHttp1(world, { target: '/openapi/v3' }), 304)
    },
  },
  {
    id: 'HH-12',
    title:
      'an answer that is no HTTP, or upgrades what asked for no upgrade, is 502, or 503 as what only reads may be sent again; nothing of it passes',
    async run(worlds) {
      const world = await worlds.recording()
      for (const answer of [
        'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}',
        'HTTP/1.1 200 OK\r\nX-A: 1\r\n X-B: folded\r\nContent-Length: 0\r\n\r\n',
        'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nx',
        'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nevil',
        'HTTP/1.1 999 X\r\nContent-Length: 4\r\n\r\nevil',
        'evil\r\n\r\n',
        'HTTP/1.0 200 evil\r\nX: \u0000\r\n\r\n',
      ]) {
        world.api.handlers.request = (_arrived, _response, request) => {
          request.socket.end(answer, 'latin1')
        }
        const reply = await overHttp1(world, { target: PODS })
        ok([502, 503].includes(reply.status), `${reply.status} for ${JSON.stringify(answer)}`)
        ok(!reply.text.includes('evil'))
        world.api.reset()
      }
      expectNothingArrived(world)
    },
  },
]
