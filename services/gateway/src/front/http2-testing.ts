import { type Duplex, duplexPair } from 'node:stream'
import { FieldDecoder } from '../http2/field-decoder.ts'
import { FrameType } from '../http2/frame.ts'
import type { RequestHandler } from './front-interface.ts'
import { FRONT_LIMITS } from './front-limits.ts'
import { Http2Connection } from './http2-connection.ts'
import { settle } from './testing.ts'

export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
const FRAME_HEADER_BYTES = 9

export type Line = readonly [name: string, value: string]

/** A frame as it came from the server. */
export type Frame = {
  readonly type: number
  readonly flags: number
  readonly streamId: number
  readonly payload: Buffer
}

/** A client that writes frames by hand, and the connection that serves it: no library keeps anything from it. */
export function connectHttp2(handle: RequestHandler, { budgetBytes = 1 << 24 } = {}) {
  const [client, server]: Duplex[] = duplexPair()
  if (client === undefined || server === undefined) throw new Error('duplexPair made no pair')
  const malformed: string[] = []
  const state = { closed: false, ended: false }
  const headBudget = { bytesLeft: budgetBytes }
  const connection = new Http2Connection(
    server,
    { remoteAddress: '10.0.0.1', serverName: 'demo.localhost', memory: {} },
    {
      handle,
      onMalformed: (_address, problem) => void malformed.push(problem),
      onClosed: () => {
        state.closed = true
      },
      flushSoon: (written) => void setImmediate(() => written.flush()),
      headBudget,
      limits: FRONT_LIMITS,
    },
  )
  const came: Buffer[] = []
  client.on('data', (chunk: Buffer) => came.push(chunk))
  client.on('end', () => {
    state.ended = true
  })
  client.on('error', () => {})
  const frames = () => framesIn(Buffer.concat(came))
  const send = async (...sent: readonly Buffer[]): Promise<void> => {
    client.write(Buffer.concat(sent))
    await settle()
  }
  return {
    client,
    server,
    connection,
    malformed,
    state,
    headBudget,
    send,
    /** Of the frames that came, those of a type, and of a stream if it is named. */
    frames: (type: number, streamId?: number) =>
      frames().filter(
        (each) => each.type === type && (streamId === undefined || each.streamId === streamId),
      ),
    /** The body that came on a stream by now. */
    body: (streamId: number) =>
      Buffer.concat(
        frames()
          .filter((each) => each.type === FrameType.DATA && each.streamId === streamId)
          .map(({ payload }) => payload),
      ),
    /** The code with which a stream was reset. */
    reset: (streamId: number) =>
      frames()
        .find((each) => each.type === FrameType.RST_STREAM && each.streamId === streamId)
        ?.payload.readUInt32BE(0),
    /** The code and the words with which the connection is given up. */
    goAway: () => {
      const found = frames().findLast(({ type }) => type === FrameType.GOAWAY)
      if (found === undefined) return undefined
      return { code: found.payload.readUInt32BE(4), text: found.payload.toString('utf8', 8) }
    },
    /** The head of each answer that came, in their order. */
    heads: () => {
      const decoder = new FieldDecoder({ tableBytes: 4096, listBytesMax: 1 << 20, linesMax: 1000 })
      const blocks = frames().filter(({ type }) => type === FrameType.HEADERS)
      return blocks.map(({ streamId, flags, payload }) => ({
        streamId,
        isEnd: (flags & 1) !== 0,
        fields: decoder.decode(payload) ?? [],
      }))
    },
    pass: (ms: number) => connection.checkDeadline(Date.now() + ms),
  }
}

/** The same, behind the preface. */
export async function openHttp2(handle: RequestHandler, options?: { budgetBytes?: number }) {
  const opened = connectHttp2(handle, options)
  await opened.send(PREFACE, frame(FrameType.SETTINGS, 0, 0))
  return opened
}

export function request(
  streamId: number,
  { method = 'GET', path = '/api', lines = [] as readonly Line[], isWhole = true } = {},
): Buffer {
  return fields(streamId, [...pseudo(path, method), ...lines], { isWhole })
}

/** HEADERS that are whole, of exactly these lines. */
export function fields(streamId: number, lines: readonly Line[], { isWhole = true } = {}): Buffer {
  const flags = isWhole ? 0x5 : 0x4
  return frame(FrameType.HEADERS, flags, streamId, block(lines))
}

export function pseudo(path: string, method = 'GET'): Line[] {
  return [
    [':method', method],
    [':scheme', 'https'],
    [':authority', 'demo.localhost'],
    [':path', path],
  ]
}

/** Literal field lines without indexing, with new names, nothing of it in Huffman's code (RFC 7541, 6.2.2). */
export function block(lines: readonly Line[]): Buffer {
  return Buffer.concat(lines.flatMap(([name, value]) => [Buffer.of(0), text(name), text(value)]))
}

function text(said: string): Buffer {
  const bytes = Buffer.from(said, 'latin1')
  const length = bytes.length < 127 ? [bytes.length] : [127, ...varint(bytes.length - 127)]
  return Buffer.concat([Buffer.from(length), bytes])
}

/** RFC 7541, 5.1. */
function varint(value: number): number[] {
  return value < 128 ? [value] : [(value % 128) + 128, ...varint(Math.floor(value / 128))]
}

export function data(streamId: number, bytes: Buffer, { isEnd = false } = {}): Buffer {
  return frame(FrameType.DATA, isEnd ? 1 : 0, streamId, bytes)
}

export function credit(streamId: number, bytes: number): Buffer {
  return frame(FrameType.WINDOW_UPDATE, 0, streamId, u32(bytes))
}

export function reset(streamId: number, code: number): Buffer {
  return frame(FrameType.RST_STREAM, 0, streamId, u32(code))
}

export function setting(id: number, value: number): Buffer {
  return frame(FrameType.SETTINGS, 0, 0, Buffer.concat([Buffer.of(0, id), u32(value)]))
}

/** RFC 9113, 4.1. */
export function frame(
  type: number,
  flags: number,
  streamId: number,
  payload: Uint8Array = Buffer.alloc(0),
): Buffer {
  const header = Buffer.alloc(FRAME_HEADER_BYTES)
  header.writeUIntBE(payload.length, 0, 3)
  header.writeUInt8(type, 3)
  header.writeUInt8(flags, 4)
  header.writeUInt32BE(streamId, 5)
  return Buffer.concat([header, payload])
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

function framesIn(bytes: Buffer): Frame[] {
  const found: Frame[] = []
  let at = 0
  while (at + FRAME_HEADER_BYTES <= bytes.length) {
    const end = at + FRAME_HEADER_BYTES + bytes.readUIntBE(at, 3)
    if (end > bytes.length) break
    found.push({
      type: bytes.readUInt8(at + 3),
      flags: bytes.readUInt8(at + 4),
      streamId: bytes.readUInt32BE(at + 5),
      payload: bytes.subarray(at + FRAME_HEADER_BYTES, end),
    })
    at = end
  }
  return found
}
