import { literal } from '../http2/field-coding-testing.ts'
import { FieldDecoder } from '../http2/field-decoder.ts'
import { FrameType, PREFACE } from '../http2/frame.ts'
import { frame, framesIn } from '../http2/frame-testing.ts'
import type { RequestHandler } from './front-interface.ts'
import { Http2Connection } from './http2-connection.ts'
import { join, settle } from './testing.ts'

export type Line = readonly [name: string, value: string]

/** A client that writes frames by hand, and the connection that serves it: no library keeps anything from it. */
export function connectHttp2(handle: RequestHandler, { budgetBytes = 1 << 24 } = {}) {
  const { client, server, state, malformed, peer, needs } = join(handle, { budgetBytes })
  const connection = new Http2Connection(server, peer, needs)
  const came: Buffer[] = []
  client.on('data', (chunk: Buffer) => came.push(chunk))
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
    headBudget: needs.headBudget,
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
  return Buffer.concat(lines.map(([name, value]) => literal('plain', name, value)))
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

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}
