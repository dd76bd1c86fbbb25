import { createHash, randomBytes } from 'node:crypto'
import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { encodeResponseHead, type HeaderLines, type RequestHead } from '@postern/kube-http'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { eventually, type Gateway, startGateway } from './testing/gateway-harness.ts'
import { withLength } from './testing/recording-agent.ts'
import { TOKEN } from './testing/world.ts'

let gateway: Gateway

beforeAll(async () => {
  gateway = await startGateway()
})
afterAll(async () => {
  await gateway.close()
})
beforeEach(async () => {
  await gateway.reset()
})

const EXEC = '/api/v1/namespaces/team/pods/web/exec?command=sh&stdout=true'
const V5: HeaderLines = [['Sec-WebSocket-Protocol', 'v5.channel.k8s.io']]
const V4_SPDY: HeaderLines = [['X-Stream-Protocol-Version', 'v4.channel.k8s.io']]

test.each([
  {
    how: 'websocket',
    method: 'GET',
    lines:
      'Sec-WebSocket-Protocol: v5.channel.k8s.io, v4.channel.k8s.io\r\nSec-WebSocket-Key: abc\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Extensions: permessage-deflate\r\nOrigin: https://x\r\n',
  },
  {
    how: 'SPDY/3.1',
    method: 'POST',
    lines:
      'X-Stream-Protocol-Version: v4.channel.k8s.io\r\nX-Stream-Protocol-Version: v3.channel.k8s.io\r\n',
  },
])(
  'UP-01, UP-02, UP-16: $how reaches the agent on a connection of its own, with its lines as they came',
  async ({ how, method, lines }) => {
    echoingAgent(how === 'websocket' ? V5 : V4_SPDY)
    const client = await upgrade({ how, method, lines })
    expect(client.head).toMatch(/^HTTP\/1\.1 101 /)
    expect(client.head).toMatch(new RegExp(`Connection: Upgrade\r\nUpgrade: ${how}\r\n`))
    client.socket.write('through and back')
    await eventually(() => client.rest() === 'through and back', 'the echo')
    client.socket.destroy()
    const [head] = gateway.agent.heads
    expect(head).toMatchObject({ method, target: EXEC, upgrade: how })
    const names = head?.headers.map(([name]) => name.toLowerCase()) ?? []
    expect(names.filter((name) => name === 'x-stream-protocol-version')).toHaveLength(
      how === 'websocket' ? 0 : 2,
    )
    expect(names).not.toContain('sec-websocket-extensions')
    expect(names).not.toContain('authorization')
    expect(names.includes('origin')).toBe(how === 'websocket')
    await eventually(() => gateway.live.count === 0, 'the stream ended')
    const stages = (await gateway.records()).map(({ stage, verb }) => `${stage} ${verb}`)
    const verb = method === 'GET' ? 'get' : 'create'
    expect(stages).toEqual([
      `RequestReceived ${verb}`,
      `ResponseStarted ${verb}`,
      `ResponseComplete ${verb}`,
    ])
  },
)

test.each([
  { id: 'UP-07', status: 200, wanted: 502 },
  { id: 'UP-06', status: 403, wanted: 403 },
  { id: 'UP-06', status: 400, wanted: 400 },
  { id: 'UP-06', status: 500, wanted: 500 },
  { id: 'UP-06', status: 302, wanted: 502 },
])(
  '$id: an upgrade that the cluster answers with $status is never spliced, and its connections are used for nothing else',
  async ({ status, wanted }) => {
    let after = ''
    gateway.agent.handlers.upgrade = (_head, socket) => {
      socket.on('data', (chunk: Buffer) => {
        after += chunk.toString()
      })
      socket.write(
        withLength(encodeResponseHead({ status, headers: [['Content-Type', 'text/plain']] })),
      )
      socket.end('no')
    }
    const { text, closed } = await gateway.raw(
      `${request({})}${request({ target: '/api/v1/namespaces/team/secrets' })}`,
    )
    // What follows the upgrade's head is refused by itself; try again with what comes later.
    expect(closed).toBe(true)
    expect(text).toMatch(/^HTTP\/1\.1 400/)
    const late = await upgrade({})
    expect(late.head).toMatch(new RegExp(`^HTTP/1\\.1 ${wanted} `))
    late.socket.write(request({ target: '/api/v1/namespaces/team/secrets' }))
    await late.closed
    expect(after).toBe('')
    expect(gateway.agent.heads.map(({ target }) => target)).toEqual([EXEC])
  },
)

test.each([
  { how: 'websocket', method: 'GET' },
  { how: 'SPDY/3.1', method: 'POST' },
])(
  'UP-05: who may get but not create pods/exec is refused over $how with a Status',
  async ({ how, method }) => {
    gateway.world.grant(
      'everything',
      [{ verbs: ['get'], apiGroups: [''], resources: ['pods', 'pods/exec'] }],
      ['team'],
    )
    const { text, closed } = await gateway.raw(request({ how, method }))
    expect(text).toMatch(/^HTTP\/1\.1 403 /)
    expect(closed).toBe(true)
    const status = JSON.parse(text.slice(text.indexOf('\r\n\r\n') + 4))
    expect(status.message).toContain('User "alice" cannot create resource "pods/exec"')
    expect(gateway.agent.heads).toEqual([])
    expect((await gateway.records()).map(({ responseStatus }) => responseStatus?.code)).toEqual([
      403,
    ])
  },
)

test('AU-09: an exec whose intent cannot be recorded is refused before the agent hears of it', async () => {
  gateway.state.spoolRoom = false
  const { text } = await gateway.raw(request({}))
  expect(text).toMatch(/^HTTP\/1\.1 503 /)
  expect(gateway.agent.heads).toEqual([])
})

test('UP-15: a revocation puts a Status on the error channel of an exec, at a frame boundary, and closes', async () => {
  const started = deferred<Socket>()
  agentThat(V5, (_head, socket) => started.resolve(socket))
  const client = await upgrade({})
  const socket = await started.promise
  // Half of a frame: what is put in between must wait for the other half.
  socket.write(
    Buffer.concat([
      frame(Buffer.from('\x01hello')),
      frame(Buffer.from('\x01world')).subarray(0, 4),
    ]),
  )
  await eventually(() => client.bytes().length >= 12, 'the first frame and a half')
  gateway.world.revoke('everything')
  gateway.live.reviewAll()
  socket.write(frame(Buffer.from('\x01world')).subarray(4))
  await client.closed
  const frames = framesOf(client.bytes())
  expect(frames.map(({ opcode, payload }) => [opcode, payload[0]])).toEqual([
    [2, 1],
    [2, 1],
    [2, 3],
    [8, 3],
  ])
  const status = JSON.parse(frames[2]?.payload.subarray(1).toString() ?? '')
  expect(status).toMatchObject({
    kind: 'Status',
    status: 'Failure',
    reason: 'Forbidden',
    code: 403,
  })
  expect(status.message).toMatch(/^Postern ended this stream: .*alice/)
  expect(frames[3]?.payload.readUInt16BE(0)).toBe(1000)
  const last = await gateway.outcome()
  expect(last.annotations).toMatchObject({
    'postern.dev/end': 'cut',
    'postern.dev/cut-code': '403',
  })
})

test('UP-15: over SPDY the Status goes to the error stream, then GOAWAY, then the end', async () => {
  const started = deferred<Socket>()
  agentThat(V4_SPDY, (_head, socket) => started.resolve(socket))
  const client = await upgrade({ how: 'SPDY/3.1', method: 'POST' })
  const socket = await started.promise
  const data = Buffer.from('000000050000000568656c6c6f', 'hex')
  socket.write(data)
  await eventually(() => client.bytes().length === data.length, 'the output')
  gateway.world.revoke('everything')
  gateway.live.reviewAll()
  await client.closed
  const rest = client.bytes().subarray(data.length)
  expect(rest.readUInt32BE(0)).toBe(1)
  expect(rest[4]).toBe(1)
  const length = rest.readUIntBE(5, 3)
  expect(JSON.parse(rest.subarray(8, 8 + length).toString())).toMatchObject({
    kind: 'Status',
    code: 403,
  })
  expect(rest.subarray(8 + length).toString('hex')).toBe('80030007000000080000000000000000')
})

test('a lost lease ends an exec at once, and a session that ends ends its streams', async () => {
  agentThat(V5, () => {})
  const first = await upgrade({})
  await eventually(() => gateway.live.count === 1, 'the exec runs')
  gateway.live.leaseChanged(false)
  await first.closed
  expect(framesOf(first.bytes()).at(-1)?.opcode).toBe(8)
  gateway.live.leaseChanged(true)
  const second = await upgrade({})
  await eventually(() => gateway.live.count === 1, 'the exec runs')
  gateway.live.sessionEnded('session-of-u-alice', 'it has ended because an administrator ended it')
  await second.closed
  await gateway.outcome()
  expect(second.bytes().toString()).toContain('an administrator ended it')
})

test('UP-03, UP-12: 100 MB through an exec arrive byte for byte at a slow reader, and the end is clean', async () => {
  const total = 100 * 1024 * 1024
  const payload = randomBytes(60_000)
  const one = frame(Buffer.concat([Buffer.from([1]), payload]))
  const count = Math.ceil(total / one.length)
  const ended = endOf('{"status":"Success"}')
  agentThat(V5, (_head, socket) => {
    let sent = 0
    const write = () => {
      while (sent < count) {
        sent += 1
        if (!socket.write(one)) {
          socket.once('drain', write)
          return
        }
      }
      socket.end(ended)
    }
    write()
  })
  const hash = createHash('sha256')
  let bytes = 0
  const client = await upgrade({}, (chunk, socket) => {
    hash.update(chunk)
    const before = bytes
    bytes += chunk.length
    if (Math.floor(bytes / 4e6) === Math.floor(before / 4e6)) return
    socket.pause()
    setTimeout(() => socket.resume(), 5)
  })
  await client.ended
  client.socket.end()
  const expected = createHash('sha256')
  for (let index = 0; index < count; index += 1) expected.update(one)
  expected.update(ended)
  expect(bytes).toBe(one.length * count + ended.length)
  expect(hash.digest('hex')).toBe(expected.digest('hex'))
  expect((await gateway.outcome()).annotations['postern.dev/end']).toBe('complete')
}, 60_000)

describe('UP-14: when the way to the agent breaks, an exec is told so and never looks complete', () => {
  test.each([
    { how: 'is reset', lose: (socket: Socket) => void socket.resetAndDestroy() },
    // As a relay can end it, or whoever else is on the way.
    { how: 'ends', lose: (socket: Socket) => void socket.end() },
  ])('over WebSocket, when it $how', async ({ lose }) => {
    const started = deferred<Socket>()
    agentThat(V5, (_head, socket) => started.resolve(socket))
    const client = await upgrade({})
    const socket = await started.promise
    socket.write(frame(Buffer.from('\x01hello')))
    await eventually(() => client.bytes().length >= 8, 'the output')
    lose(socket)
    await client.ended
    client.socket.end()
    const [output, status, close, ...more] = framesOf(client.bytes())
    expect(output?.payload.toString()).toBe('\x01hello')
    expect(status?.payload[0]).toBe(3)
    expect(JSON.parse(status?.payload.subarray(1).toString() ?? '')).toMatchObject({
      status: 'Failure',
      code: 503,
      message: expect.stringMatching(
        /^Postern ended this stream: the connection to cluster "demo" /,
      ),
    })
    expect([close?.opcode, more]).toEqual([8, []])
    expect((await gateway.outcome()).annotations['postern.dev/end']).toBe('source-lost')
  })

  test('over SPDY, where an end without a Status would be taken for success', async () => {
    const started = deferred<Socket>()
    agentThat(V4_SPDY, (_head, socket) => started.resolve(socket))
    const client = await upgrade({ how: 'SPDY/3.1', method: 'POST' })
    const socket = await started.promise
    socket.end()
    await client.ended
    client.socket.end()
    const said = client.bytes()
    expect(JSON.parse(said.subarray(8, 8 + said.readUIntBE(5, 3)).toString())).toMatchObject({
      status: 'Failure',
      message: expect.stringMatching(/^Postern ended this stream: /),
    })
    expect((await gateway.outcome()).annotations['postern.dev/end']).toBe('source-lost')
  })

  test('within a frame, where nothing can be said: it breaks', async () => {
    const started = deferred<Socket>()
    agentThat(V5, (_head, socket) => started.resolve(socket))
    const client = await upgrade({})
    const socket = await started.promise
    socket.write(frame(Buffer.from('\x01hello')).subarray(0, 4))
    await eventually(() => client.bytes().length === 4, 'half a frame')
    socket.end()
    await client.closed
    expect(client.bytes()).toHaveLength(4)
    expect((await gateway.outcome()).annotations['postern.dev/end']).toBe('source-lost')
  })

  test('once its Status has come it is complete, however the rest of the way ends', async () => {
    const started = deferred<Socket>()
    agentThat(V5, (_head, socket) => started.resolve(socket))
    const client = await upgrade({})
    const socket = await started.promise
    const end = endOf('{"status":"Success"}')
    socket.write(end)
    await eventually(() => client.bytes().length === end.length, 'the Status')
    socket.resetAndDestroy()
    await client.ended
    client.socket.end()
    expect(client.bytes().equals(end)).toBe(true)
    expect((await gateway.outcome()).annotations['postern.dev/end']).toBe('complete')
  })

  test('a client that has ended is not told anything more', async () => {
    const started = deferred<Socket>()
    agentThat(V5, (_head, socket) => started.resolve(socket))
    const client = await upgrade({})
    const socket = await started.promise
    socket.resume().once('end', () => socket.end())
    client.socket.end()
    await client.ended
    expect(client.bytes()).toHaveLength(0)
    expect((await gateway.outcome()).annotations['postern.dev/end']).toBe('complete')
  })
})

test('a client that goes away closes the way to the agent', async () => {
  const started = deferred<Socket>()
  agentThat(V5, (_head, socket) => started.resolve(socket))
  const client = await upgrade({})
  const socket = await started.promise
  const closed = new Promise((resolve) => socket.once('end', resolve))
  socket.resume().once('end', () => socket.end())
  client.socket.destroy()
  await closed
  await eventually(() => gateway.live.count === 0, 'nothing runs any more')
})

test("AU-02: how an exec's command ended is in its outcome", async () => {
  const status =
    '{"metadata":{},"status":"Failure","reason":"NonZeroExitCode","details":{"causes":[{"reason":"ExitCode","message":"3"}]}}'
  agentThat(V5, (_head, socket) => {
    socket.end(frame(Buffer.concat([Buffer.from([3]), Buffer.from(status)])))
  })
  const client = await upgrade({})
  await client.ended
  client.socket.end()
  await eventually(() => gateway.live.count === 0, 'the exec ended')
  const last = await gateway.outcome()
  expect(last).toMatchObject({ stage: 'ResponseComplete', responseStatus: { code: 101 } })
  expect(last.annotations['postern.dev/command-status']).toBe(status)
})

function agentThat(headers: HeaderLines, then: (head: RequestHead, socket: Socket) => void): void {
  gateway.agent.handlers.upgrade = (head, socket) => {
    socket.write(withLength(encodeResponseHead({ status: 101, headers })))
    then(head, socket)
  }
}

function echoingAgent(headers: HeaderLines): void {
  agentThat(headers, (_head, socket) => void socket.pipe(socket))
}

type Order = { how?: string; method?: string; lines?: string; target?: string }

function request({ how = 'websocket', method = 'GET', lines = '', target = EXEC }: Order): string {
  return `${method} ${target} HTTP/1.1\r\nHost: demo.localhost\r\nAuthorization: Bearer ${TOKEN}\r\nConnection: Upgrade\r\nUpgrade: ${how}\r\n${lines}\r\n`
}

/** Sends an upgrade and answers the head, and what comes after it as it comes. */
async function upgrade(order: Order, onData?: (chunk: Buffer, socket: TLSSocket) => void) {
  const socket = await gateway.connect()
  let before = Buffer.alloc(0)
  const after: Buffer[] = []
  let head: string | undefined
  const headArrived = deferred<void>()
  socket.on('data', (chunk: Buffer) => {
    let rest = chunk
    if (head === undefined) {
      before = Buffer.concat([before, chunk])
      const end = before.indexOf('\r\n\r\n')
      if (end === -1) return
      head = before.subarray(0, end + 4).toString('latin1')
      rest = before.subarray(end + 4)
      headArrived.resolve()
    }
    if (rest.length === 0) return
    if (onData === undefined) after.push(rest)
    else onData(rest, socket)
  })
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()))
  const ended = new Promise<void>((resolve) => socket.once('end', () => resolve()))
  socket.write(request(order))
  await Promise.race([headArrived.promise, closed])
  return {
    socket,
    closed,
    ended,
    head: head ?? '',
    bytes: () => Buffer.concat(after),
    rest: () => Buffer.concat(after).toString(),
  }
}

/** An unmasked, final, binary WebSocket frame, as servers send them. */
function frame(payload: Buffer): Buffer {
  const header = Buffer.alloc(payload.length < 126 ? 2 : 4)
  header[0] = 0x82
  header[1] = Math.min(payload.length, 126)
  if (payload.length >= 126) header.writeUInt16BE(payload.length, 2)
  return Buffer.concat([header, payload])
}

/** As kube-apiserver ends an exec: its Status, then Close. */
function endOf(status: string): Buffer {
  return Buffer.concat([frame(Buffer.from(`\x03${status}`)), Buffer.from('880203e8', 'hex')])
}

function framesOf(bytes: Buffer) {
  const frames: { opcode: number; payload: Buffer }[] = []
  for (let at = 0; at < bytes.length; ) {
    const short = (bytes[at + 1] ?? 0) & 0x7f
    const start = at + (short === 126 ? 4 : 2)
    const length = short === 126 ? bytes.readUInt16BE(at + 2) : short
    frames.push({ opcode: (bytes[at] ?? 0) & 15, payload: bytes.subarray(start, start + length) })
    at = start + length
  }
  return frames
}

function deferred<T>() {
  let resolve: (value: T) => void = () => {}
  const promise = new Promise<T>((done) => {
    resolve = done
  })
  return { promise, resolve }
}
