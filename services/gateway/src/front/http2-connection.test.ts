import { EventEmitter, once } from 'node:events'
import { type Duplex, duplexPair } from 'node:stream'
import { decodeLines } from '@postern/kube-http'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { FrontHead } from './front-interface.ts'
import { serveHttp2 } from './http2-connection.ts'

const FRAME_HEADER_BYTES = 9
const HEADERS = 1
const SETTINGS = 4
const PING = 6
const ACK = 1
const END_STREAM_AND_HEADERS = 0x5
const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')

type Line = readonly [name: Uint8Array, value: Uint8Array]

/** A connection on which frames are written by hand: no client's library keeps anything from it. */
function connect() {
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
        request.answer({ status: 200, headers: [] }, Buffer.from('ok'))
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
      const all = [...pseudo('/api'), ...lines].map(literal)
      client.write(frame(HEADERS, END_STREAM_AND_HEADERS, streamId, Buffer.concat(all)))
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
