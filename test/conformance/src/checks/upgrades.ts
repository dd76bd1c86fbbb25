import { deepStrictEqual, ok } from 'node:assert/strict'
import { annotation } from '@postern/bootstrap'
import { recordsWhere } from '@postern/e2e/support'
import type { Check, Generated } from '../check.ts'
import { bytesOf, outcomeOf, rawly } from '../client.ts'
import { expectMatch, expectNothingArrived, expectRefused, expectStatus } from '../expect.ts'
import { openConnection } from '../open-connection.ts'
import type { Arrived } from '../recording/api-server.ts'
import type { RecordingWorld } from '../recording/recording-world.ts'
import { idle } from '../time.ts'

const TEAM = '/api/v1/namespaces/team'
const EXEC = `${TEAM}/pods/p/exec?command=id&stdout=true`
const SECRETS = `${TEAM}/secrets`
const V5 = 'Sec-WebSocket-Protocol: v5.channel.k8s.io'
const WEBSOCKET = [
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==',
]
const SPDY = [
  'Connection: Upgrade',
  'Upgrade: SPDY/3.1',
  'X-Stream-Protocol-Version: v4.channel.k8s.io',
]
const WAYS = [
  { name: 'websocket', method: 'GET', lines: [...WEBSOCKET, V5] },
  { name: 'SPDY/3.1', method: 'POST', lines: SPDY },
] as const
const SWITCHED = (protocol: string) =>
  `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${protocol}\r\n\r\n`

const upgradeOf = (world: RecordingWorld, way: (typeof WAYS)[number], lines = way.lines) =>
  bytesOf(world, { method: way.method, target: EXEC, lines })

const isAnswered = (text: string) => text.includes('\r\n\r\n')

const valuesOf = ({ headers }: Arrived, wanted: string) =>
  headers.filter(([name]) => name.toLowerCase() === wanted).map(([, value]) => value)

export function upgradeChecks({ idleSeconds }: Generated): Check[] {
  return [
    ...WAYS.flatMap((way) =>
      [400, 403, 500].map(
        (status): Check => ({
          id: 'UP-06',
          title: `${way.name}: an upgrade that is answered ${status} is answered so, and neither connection is used again`,
          async run(worlds) {
            const world = await worlds.recording()
            let after = ''
            world.api.handlers.upgrade = (_arrived, socket) => {
              socket.on('data', (chunk: Buffer) => {
                after += chunk.toString()
              })
              socket.write(`HTTP/1.1 ${status} No\r\nContent-Length: 3\r\n\r\nno!`)
            }
            const client = await openConnection(world, upgradeOf(world, way))
            await client.until('an answer', () => client.rest().startsWith('no!'))
            client.socket.write(bytesOf(world, { target: SECRETS }))
            await client.untilClosed()
            deepStrictEqual(client.text().match(/HTTP\/1\.1 \d{3}/g), [`HTTP/1.1 ${status}`])
            deepStrictEqual({ after, arrived: world.api.arrived.length }, { after: '', arrived: 1 })
          },
        }),
      ),
    ),
    ...WAYS.flatMap((way) =>
      [200, 204, 302].map(
        (status): Check => ({
          id: 'UP-07',
          title: `${way.name}: an upgrade that is answered ${status} is 502 and never a stream`,
          async run(worlds) {
            const world = await worlds.recording()
            const length = status === 204 ? '' : 'Content-Length: 5\r\n'
            let after = ''
            world.api.handlers.upgrade = (_arrived, socket) => {
              socket.on('data', (chunk: Buffer) => {
                after += chunk.toString()
              })
              socket.write(`HTTP/1.1 ${status} Fine\r\nLocation: /x\r\n${length}\r\nhello`)
            }
            const client = await openConnection(world, upgradeOf(world, way))
            client.socket.write('bytes of a stream')
            await client.untilClosed()
            expectMatch(client.text(), /^HTTP\/1\.1 502 /)
            ok(!client.text().includes('hello'), client.text())
            deepStrictEqual(after, '')
          },
        }),
      ),
    ),
    {
      id: 'UP-08',
      title: 'only websocket and SPDY/3.1 are upgrades, and only where the client says so in full',
      async run(worlds) {
        const world = await worlds.recording()
        for (const lines of [
          ['Connection: Upgrade', 'Upgrade: foo'],
          ['Connection: Upgrade', 'Upgrade: h2c'],
          ['Connection: Upgrade', 'Upgrade: TLS/1.0'],
          ['Connection: Upgrade', 'Upgrade: SPDY/3.0'],
          ['Connection: Upgrade', 'Upgrade: websocket, SPDY/3.1'],
          ['Connection: Upgrade', 'Upgrade: websocket', 'Upgrade: SPDY/3.1'],
          ['Connection: x-notupgrade', 'Upgrade: websocket'],
          ['Connection: close, notupgrade', 'Upgrade: websocket'],
          ['Upgrade: websocket'],
          ['Connection: Upgrade'],
        ]) {
          const reply = await rawly(world, bytesOf(world, { target: EXEC, lines }), isAnswered)
          ok(reply.status === 400, `${reply.status} for ${lines.join(', ')}`)
          expectNothingArrived(world)
        }
      },
    },
    {
      id: 'UP-08',
      title: 'the line that upgrades is written by Postern: of a plain request none is',
      async run(worlds) {
        const world = await worlds.recording()
        const lines = ['Connection: close, x-a', 'X-A: 1']
        expectStatus(await rawly(world, bytesOf(world, { target: `${TEAM}/pods`, lines })), 200)
        const [plain] = world.api.arrived
        ok(plain !== undefined && !/upgrade|x-a/i.test(JSON.stringify(plain.headers)))
        world.api.reset()
        const [way] = WAYS
        await rawly(world, upgradeOf(world, way, [...WEBSOCKET, V5, 'Keep-Alive: x']))
        const [upgraded] = world.api.arrived
        deepStrictEqual(upgraded && valuesOf(upgraded, 'connection'), ['Upgrade'])
        deepStrictEqual(upgraded && valuesOf(upgraded, 'upgrade'), ['websocket'])
        deepStrictEqual(upgraded && valuesOf(upgraded, 'keep-alive'), [])
      },
    },
    {
      id: 'UP-09',
      title: 'an upgrade has no body, and a WebSocket no bytes before it is one',
      async run(worlds) {
        const world = await worlds.recording()
        const [way] = WAYS
        for (const bytes of [
          `${upgradeOf(world, way, [...WEBSOCKET, V5, 'Content-Length: 3'])}abc`,
          `${upgradeOf(world, way, [...WEBSOCKET, V5, 'Transfer-Encoding: chunked'])}0\r\n\r\n`,
          upgradeOf(world, way) + bytesOf(world, { target: SECRETS }),
        ]) {
          const reply = await rawly(world, bytes)
          expectRefused(world, reply, 400)
          ok(reply.closed, 'the connection is closed')
        }
      },
    },
    ...WAYS.map(
      (way): Check => ({
        id: 'UP-13',
        title: `${way.name}: a stream on which nothing happens for ${idleSeconds} s is still one, both ways`,
        async run(worlds) {
          const world = await worlds.recording()
          world.api.handlers.upgrade = (_arrived, socket) => {
            socket.write(SWITCHED(way.name))
            socket.on('data', (chunk: Buffer) => void socket.write(chunk))
          }
          const client = await openConnection(world, upgradeOf(world, way))
          await client.until('a stream', () => isAnswered(client.text()))
          await idle(idleSeconds)
          deepStrictEqual(client.isClosed(), false)
          client.socket.write('still here')
          await client.until('an echo', () => client.rest() === 'still here')
          client.close()
        },
      }),
    ),
    {
      id: 'UP-14',
      title: 'when either end goes away so does the other, and the outcome is recorded',
      async run(worlds) {
        const world = await worlds.recording()
        for (const way of WAYS) {
          world.api.handlers.upgrade = (_arrived, socket) => void socket.write(SWITCHED(way.name))
          const gone = new Promise<void>((resolve) => {
            const upgrade = world.api.handlers.upgrade
            world.api.handlers.upgrade = (arrived, socket, head) => {
              upgrade(arrived, socket, head)
              for (const event of ['close', 'end']) socket.once(event, () => resolve())
              socket.resume()
            }
          })
          const client = await openConnection(world, upgradeOf(world, way))
          await client.until('a stream', () => isAnswered(client.text()))
          client.close()
          await gone
          world.api.handlers.upgrade = (_arrived, socket) => {
            socket.write(SWITCHED(way.name))
            setImmediate(() => socket.destroy())
          }
          const other = await openConnection(world, upgradeOf(world, way))
          await other.untilClosed()
          const last = world.api.arrived.at(-1)
          const outcome = await outcomeOf(world, last?.auditId ?? '')
          ok(annotation(outcome, 'end') !== '', JSON.stringify(outcome))
        }
      },
    },
    {
      id: 'UP-16',
      title: 'compression of frames is not negotiated; all else that a client offers arrives',
      async run(worlds) {
        const world = await worlds.recording()
        const protocols = ['v5', 'v4', 'v3', 'v2'].map((version) => `${version}.channel.k8s.io`)
        const lines = [
          ...WEBSOCKET,
          `Sec-WebSocket-Protocol: ${protocols.join(',')}`,
          'Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits',
          'Origin: https://console.example',
        ]
        await rawly(world, upgradeOf(world, WAYS[0], lines))
        const [arrived] = world.api.arrived
        ok(arrived !== undefined)
        deepStrictEqual(valuesOf(arrived, 'sec-websocket-extensions'), [])
        deepStrictEqual(valuesOf(arrived, 'origin'), ['https://console.example'])
        const offered = valuesOf(arrived, 'sec-websocket-protocol').join(',').split(/, */)
        deepStrictEqual(offered, protocols)
      },
    },
    {
      id: 'UP-17',
      title:
        'of an exec the log has the command, the bytes and how it ended; what was typed and shown it has not: sessions are not recorded',
      async run(worlds) {
        const world = await worlds.recording()
        const shown = 'the-password-that-was-shown'
        const typed = 'the-password-that-was-typed'
        const status = JSON.stringify({
          kind: 'Status',
          status: 'Failure',
          reason: 'NonZeroExitCode',
        })
        world.api.handlers.upgrade = (_arrived, socket) => {
          const head = SWITCHED('websocket').replace('\r\n\r\n', `\r\n${V5}\r\n\r\n`)
          socket.write(head)
          socket.once('data', () => {
            for (const text of [`\u0001${shown}`, `\u0003${status}`]) {
              socket.write(Buffer.concat([Buffer.from([0x82, text.length]), Buffer.from(text)]))
            }
            socket.end(Buffer.from([0x88, 0]))
          })
        }
        const client = await openConnection(world, upgradeOf(world, WAYS[0]))
        await client.until('a stream', () => isAnswered(client.text()))
        client.socket.write(typed)
        await client.untilClosed()
        expectMatch(client.rest(), new RegExp(shown))
        const { auditId } = world.api.arrived[0] ?? { auditId: '' }
        const outcome = await outcomeOf(world, auditId)
        expectMatch(outcome.requestURI, /command=id/)
        expectMatch(annotation(outcome, 'command-status'), /NonZeroExitCode/)
        ok(Number(annotation(outcome, 'bytes')) > shown.length)
        const records = JSON.stringify(await recordsWhere(world.e2e, `auditId=${auditId}`))
        ok(!records.includes(shown) && !records.includes(typed), records)
      },
    },
  ]
}
