import type { Duplex } from 'node:stream'
import { ByteReader } from './byte-reader.ts'
import { untilTaken } from './until-taken.ts'

// https://www.chromium.org/spdy/spdy-protocol/spdy-protocol-draft3-1
const VERSION = 0x8003
const Type = { synStream: 1, synReply: 2, rstStream: 3, ping: 6, goAway: 7 } as const
const FLAG_FIN = 1
const EMPTY_BLOCK = Buffer.from([0, 0, 0, 0xff, 0xff])

type SpdyEvent =
  | {
      readonly kind: 'data'
      readonly stream: number
      readonly bytes: Buffer
      readonly fin: boolean
    }
  | { readonly kind: 'accepted' | 'reset'; readonly stream: number; readonly fin: boolean }
  | { readonly kind: 'go-away' }

/** The client's end of a SPDY/3.1 session as kube-apiserver speaks it: without flow control. */
export type SpdySession = {
  /** Answers its id. */
  open(headers: Readonly<Record<string, string>>): Promise<number>
  /** Resolves when the connection takes more. */
  send(stream: number, bytes: Buffer, options?: { readonly fin: boolean }): Promise<void>
  /** A frame when it is asked for, until the end: "ended" or "broken off". */
  events(): AsyncGenerator<SpdyEvent, string>
  destroy(): void
}

export function createSpdySession(socket: Duplex): SpdySession {
  let nextStream = 1
  let isFirstBlock = true
  socket.on('error', () => {})

  async function write(bytes: Buffer): Promise<void> {
    if (!socket.writable || socket.write(bytes)) return
    await untilTaken(socket)
  }

  return {
    async open(headers) {
      const stream = nextStream
      nextStream += 2
      const head = Buffer.alloc(10)
      head.writeUInt32BE(stream, 0)
      const block = headerBlock(headers, isFirstBlock)
      isFirstBlock = false
      await write(controlFrame(Type.synStream, Buffer.concat([head, block])))
      return stream
    },
    async send(stream, bytes, { fin } = { fin: false }) {
      const head = Buffer.alloc(8)
      head.writeUInt32BE(stream, 0)
      head[4] = fin ? FLAG_FIN : 0
      head.writeUIntBE(bytes.length, 5, 3)
      await write(Buffer.concat([head, bytes]))
    },
    async *events() {
      const reader = new ByteReader(socket)
      for (;;) {
        const frame = await readFrame(reader)
        if (frame === undefined) return reader.broken === undefined ? 'ended' : 'broken off'
        const { isData, type, stream, fin, payload } = frame
        if (isData) yield { kind: 'data', stream, bytes: payload, fin }
        else if (type === Type.synReply) yield { kind: 'accepted', stream, fin }
        else if (type === Type.rstStream) yield { kind: 'reset', stream, fin }
        else if (type === Type.goAway) yield { kind: 'go-away' }
        else if (type === Type.ping) await write(controlFrame(Type.ping, payload))
      }
    },
    destroy: () => socket.destroy(),
  }
}

async function readFrame(reader: ByteReader) {
  const head = await reader.take(8)
  if (head === undefined) return undefined
  const payload = await reader.take(head.readUIntBE(5, 3))
  if (payload === undefined) return undefined
  const isData = ((head[0] ?? 0) & 0x80) === 0
  const inPayload = payload.length >= 4 ? payload.readUInt32BE(0) : 0
  return {
    isData,
    type: head.readUInt16BE(2),
    stream: isData ? head.readUInt32BE(0) : inPayload,
    fin: ((head[4] ?? 0) & FLAG_FIN) !== 0,
    payload,
  }
}

function controlFrame(type: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(8)
  head.writeUInt16BE(VERSION, 0)
  head.writeUInt16BE(type, 2)
  head.writeUIntBE(payload.length, 5, 3)
  return Buffer.concat([head, payload])
}

/** One zlib stream for the whole session, of stored blocks (RFC 1951, 3.2.4): no dictionary is needed. */
function headerBlock(headers: Readonly<Record<string, string>>, isFirst: boolean): Buffer {
  const entries = Object.entries(headers)
  const words = entries.flatMap(([name, value]) => [name.toLowerCase(), value])
  const plain = Buffer.concat([uint32(entries.length), ...words.flatMap(lengthAndText)])
  const block = Buffer.alloc(5)
  block.writeUInt16LE(plain.length, 1)
  block.writeUInt16LE(~plain.length & 0xffff, 3)
  const zlibHeader = isFirst ? Buffer.from([0x78, 0x01]) : Buffer.alloc(0)
  // An empty block behind it: a reader hands out a block when it meets the next.
  return Buffer.concat([zlibHeader, block, plain, EMPTY_BLOCK])
}

function lengthAndText(text: string): Buffer[] {
  return [uint32(Buffer.byteLength(text)), Buffer.from(text)]
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}
