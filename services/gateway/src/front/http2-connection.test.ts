import { EventEmitter, once } from 'node:events'
import { type Duplex, duplexPair } from 'node:stream'
import { decodeLines } from '@postern/kube-http'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { FrontHead, FrontRequest } from './front-interface.ts'
import { serveHttp2 } from './http2-connection.ts'
import { settle } from './testing.ts'

const FRAME_HEADER_BYTES = 9
const DATA = 0
const HEADERS = 1
const RST_STREAM = 3
const SETTINGS = 4
const PING = 6
const GOAWAY = 7
const ACK = 1
const END_HEADERS = 0x4
const END_STREAM_AND_HEADERS = 0x5
const NO_ERROR = 0
const CANCEL = 8
const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')

type Line = readonly [name: Uint8Array, value: Uint8Array]

/** A connection on which frames are written by hand: no client's library keeps anything from it. */
function connect(
  answer = (request: FrontRequest) => {
    request.answer({ status: 200, headers: [] }, Buffer.from('ok'))
  },
) {
  const [client, server]: Duplex[] = duplexPair()
  if (client === undefined || server === undefined) throw new Error('duplexPair made no pair')
  const heads: FrontHead[] = []
  const progress = new EventEmitter()
  const connection = serveHttp2(
    server,
    { remoteAddress: '10.0.0.1', serverName: 'demo.localhost', memory: {} },
    {
      handle(request) {
        heads.push(request.head)
        answer(request)
      },
      onMalformed() {},
      onClosed: () => void progress.emit('read'),
      ageMs: 60_000,
    },
  )
  let answered = Buffer.alloc(0)
  client.on('error', () => {})
  client.on('data', (chunk: Buffer) => {
    answered = Buffer.concat([answered, chunk])
    if (hasPingAck(answered)) progress.emit('read')
  })
  client.write(Buffer.concat([PREFACE, frame(SETTINGS, 0, 0)]))
  return {
    heads,
    ask: (streamId: number, lines: readonly Line[]): void => {
      client.write(request(streamId, [...pseudo('/api'), ...lines]))
    },
    /** All of it in one packet. */
    write: (...frames: readonly Buffer[]): void => void client.write(Buffer.concat(frames)),
    destroy: (): void => {
      connection.destroy()
      client.destroy()
    },
    /** Until everything before it was read, or the connection has ended over it. */
    end: async (): Promise<void> => {
      const isRead = once(progress, 'read')
      client.write(frame(PING, 0, 0, Buffer.alloc(8)))
      await isRead
      connection.destroy()
      client.destroy()
    },
  }
}

test('whatever bytes names and values have, a stream is served or refused, and its connection lives or ends', async () => {
  const bytes = (least: number) => fc.uint8Array({ minLength: least, maxLength: 12 })
  const token = fc.constantFrom(
    'accept',
    'user-agent',
    'kubectl-command',
    'audit-id',
    'traceparent',
  )
  const name = fc.oneof(
    token.map((text) => new Uint8Array(Buffer.from(text))),
    bytes(1),
  )
  const text = fc.string({ unit: 'grapheme', maxLength: 12 })
  const value = fc.oneof(
    bytes(0),
    text.map((said) => new Uint8Array(Buffer.from(said))),
  )
  const stream = fc.array(fc.tuple(name, value), { maxLength: 6 })
  let served = 0
  await fc.assert(
    fc.asyncProperty(fc.array(stream, { minLength: 1, maxLength: 6 }), async (streams) => {
      const { ask, end, heads } = connect()
      for (const [at, lines] of streams.entries()) ask(1 + 2 * at, lines)
      await end()
      for (const { lines } of heads) {
        expect(decodeLines(lines.forwarded.text).at(-1)).toEqual(['X-Forwarded-For', '10.0.0.1'])
      }
      served += heads.length
    }),
    { seed: Date.now() & 0x7fffffff, numRuns: 300 },
  )
  expect(served).toBeGreaterThan(100)
})

test('streams of a connection that overlap each say their own lines, in whatever order they are asked', async () => {
  const who = fc.constantFrom('alice', 'bob', 'nobody')
  await fc.assert(
    fc.asyncProperty(fc.array(who, { minLength: 1, maxLength: 12 }), async (users) => {
      const { ask, end, heads } = connect()
      for (const [at, user] of users.entries()) {
        ask(1 + 2 * at, user === 'nobody' ? [] : [line('authorization', `Bearer ${user}`)])
      }
      await end()
      const presented = users.map((user) =>
        user === 'nobody' ? { kind: 'none' } : { kind: 'token', token: user },
      )
      expect(heads.map(({ lines }) => lines.presented)).toEqual(presented)
    }),
    { seed: Date.now() & 0x7fffffff, numRuns: 100 },
  )
})

test.each([
  { what: 'said twice', lines: [line(':path', '/api')] },
  { what: 'said twice, differently', lines: [line(':method', 'DELETE')] },
  { what: 'behind another line', lines: [line('accept', '*/*'), line(':protocol', 'websocket')] },
  { what: 'that does not exist', lines: [line(':user', 'alice')] },
])('a stream with a pseudo header $what is never a request', async ({ lines }) => {
  const { ask, end, heads } = connect()
  ask(1, lines)
  ask(3, [])
  await end()
  expect(heads.map(({ target }) => target)).toEqual(['/api'])
})

test.each([
  { what: 'that is served', method: 'GET' },
  { what: 'that is refused', method: 'FOO' },
])(
  'a request $what and is reset in the same packet, with whatever code, costs its connection nothing',
  async ({ method }) => {
    const { write, ask, end, heads } = connect()
    const asked = [line(':method', method), ...pseudo('/reset').slice(1)]
    for (const [at, code] of [NO_ERROR, CANCEL].entries()) {
      const id = 1 + 2 * at
      write(request(id, asked), frame(RST_STREAM, 0, id, Buffer.of(0, 0, 0, code)))
    }
    ask(5, [])
    await end()
    expect(heads.at(-1)?.target).toBe('/api')
  },
)

test('whatever frames come in whatever packets, each request hears once how it ended', async () => {
  const id = fc.constantFrom(1, 3, 5)
  const code = fc.constantFrom(NO_ERROR, 1, CANCEL)
  const opened = fc
    .record({ id, method: fc.constantFrom('GET', 'HEAD', 'POST', 'FOO'), isWhole: fc.boolean() })
    .map(({ id: stream, method, isWhole }) => {
      const lines = [line(':method', method), ...pseudo('/api').slice(1)]
      return request(stream, lines, isWhole ? END_STREAM_AND_HEADERS : END_HEADERS)
    })
  const body = fc
    .record({ id, flags: fc.constantFrom(0, 1), bytes: fc.uint8Array({ maxLength: 8 }) })
    .map(({ id: stream, flags, bytes }) => frame(DATA, flags, stream, Buffer.from(bytes)))
  const reset = fc
    .tuple(id, code)
    .map(([stream, why]) => frame(RST_STREAM, 0, stream, Buffer.of(0, 0, 0, why)))
  const goAway = code.map((why) => frame(GOAWAY, 0, 0, Buffer.of(0, 0, 0, 0, 0, 0, 0, why)))
  const anything = fc
    .tuple(fc.nat(10), fc.nat(255), fc.nat(6), fc.uint8Array({ maxLength: 12 }))
    .map(([type, flags, stream, payload]) => frame(type, flags, stream, Buffer.from(payload)))
  const frames = fc.oneof(
    { weight: 6, arbitrary: opened },
    { weight: 3, arbitrary: body },
    { weight: 4, arbitrary: reset },
    { weight: 1, arbitrary: goAway },
    { weight: 1, arbitrary: anything },
  )
  const packets = fc.array(fc.array(frames, { minLength: 1, maxLength: 4 }), { maxLength: 5 })
  const deed = fc.constantFrom('respond', 'write', 'end', 'answer', 'pause', 'resume', 'abort')
  let asked = 0
  await fc.assert(
    fc.asyncProperty(packets, fc.array(deed, { maxLength: 5 }), async (written, deeds) => {
      const ends: string[][] = []
      const { write, destroy } = connect((incoming) => {
        const heard: string[] = []
        ends.push(heard)
        incoming.listen({
          onBody() {},
          onBodyEnd() {},
          onAnswerDrain() {},
          onSent: () => void heard.push('sent'),
          onGone: () => void heard.push('gone'),
        })
        void doAll(incoming, deeds, heard)
      })
      for (const packet of written) {
        write(...packet)
        await settle()
      }
      destroy()
      await settle()
      for (const heard of ends) expect(heard).toHaveLength(1)
      asked += ends.length
    }),
    { seed: Date.now() & 0x7fffffff, numRuns: 500 },
  )
  expect(asked).toBeGreaterThan(100)
})

/** One deed at a turn. Whoever answers or aborts hears nothing of the client any more, so that is heard here. */
async function doAll(incoming: FrontRequest, deeds: readonly string[], heard: string[]) {
  const OK = { status: 200, headers: [] }
  for (const deed of deeds) {
    await settle()
    if (deed === 'respond') incoming.respond(OK)
    else if (deed === 'write') incoming.write(Buffer.alloc(100))
    else if (deed === 'end') incoming.end()
    else if (deed === 'pause') incoming.pause()
    else if (deed === 'resume') incoming.resume()
    else if (deed === 'abort' || !incoming.responded) {
      if (heard.length === 0) heard.push(deed)
      if (deed === 'abort') incoming.abort()
      else incoming.answer(OK, Buffer.from('ok'))
    }
  }
}

function request(streamId: number, lines: readonly Line[], flags = END_STREAM_AND_HEADERS): Buffer {
  return frame(HEADERS, flags, streamId, Buffer.concat(lines.map(literal)))
}

function pseudo(path: string): Line[] {
  return [
    line(':method', 'GET'),
    line(':scheme', 'https'),
    line(':authority', 'demo.localhost'),
    line(':path', path),
  ]
}

function line(name: string, value: string): Line {
  return [Buffer.from(name), Buffer.from(value)]
}

/** A literal header field without indexing, with a new name, nothing of it in Huffman's code (RFC 7541, 6.2.2). */
function literal([name, value]: Line): Buffer {
  return Buffer.concat([Buffer.of(0, name.length), name, Buffer.of(value.length), value])
}

function hasPingAck(bytes: Buffer): boolean {
  for (let at = 0; at + FRAME_HEADER_BYTES <= bytes.length; ) {
    if (bytes.readUInt8(at + 3) === PING && bytes.readUInt8(at + 4) === ACK) return true
    at += FRAME_HEADER_BYTES + bytes.readUIntBE(at, 3)
  }
  return false
}

/** RFC 9113, 4.1. */
function frame(type: number, flags: number, streamId: number, payload = Buffer.alloc(0)): Buffer {
  const header = Buffer.alloc(FRAME_HEADER_BYTES)
  header.writeUIntBE(payload.length, 0, 3)
  header.writeUInt8(type, 3)
  header.writeUInt8(flags, 4)
  header.writeUInt32BE(streamId, 5)
  return Buffer.concat([header, payload])
}
