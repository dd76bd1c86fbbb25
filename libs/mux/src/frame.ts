import { MuxProtocolError, type ResetCode } from './errors.ts'

/**
 * A frame is `type u8, flags u8, payload length u16, stream id u32` (big endian), then its payload.
 * OPEN and HEAD carry a message, cut into full frames marked MORE and a last one that is
 * not, with no other frame between them; DATA raw bytes; RST a code and text; WINDOW a u32 of credit; PING and PONG eight bytes that are
 * echoed; GOAWAY text. PING, PONG and GOAWAY are about the connection: their stream id is 0.
 */
export const FrameType = {
  OPEN: 1,
  HEAD: 2,
  DATA: 3,
  END: 4,
  RST: 5,
  WINDOW: 6,
  PING: 7,
  PONG: 8,
  GOAWAY: 9,
} as const

export type FrameType = (typeof FrameType)[keyof typeof FrameType]

export const HEADER_BYTES = 8
export const PAYLOAD_BYTES_MAX = 0xffff
export const STREAM_ID_MAX = 0x7fffffff
export const HEAD_BYTES_MAX = 1024 * 1024
/** What a TLS record carries at most (RFC 8446, 5.1), and a socket brings at once. */
export const RECORD_BYTES = 16 * 1024
/** The credit that every stream starts with, each way. */
export const WINDOW_BYTES = 256 * 1024
export const CREDIT_BYTES_MAX = 0x7fffffff

const MORE = 1
const TEXT_BYTES_MAX = 1024
const RESET_CODES = ['stop', 'cancelled', 'refused', 'failed', 'overloaded'] as const

/** Payload lengths that a type allows, and whether it is about a stream. */
const SHAPES: Readonly<Record<number, { min: number; max: number; onStream: boolean }>> = {
  [FrameType.OPEN]: { min: 0, max: PAYLOAD_BYTES_MAX, onStream: true },
  [FrameType.HEAD]: { min: 0, max: PAYLOAD_BYTES_MAX, onStream: true },
  [FrameType.DATA]: { min: 1, max: PAYLOAD_BYTES_MAX, onStream: true },
  [FrameType.END]: { min: 0, max: 0, onStream: true },
  [FrameType.RST]: { min: 1, max: 1 + TEXT_BYTES_MAX, onStream: true },
  [FrameType.WINDOW]: { min: 4, max: 4, onStream: true },
  [FrameType.PING]: { min: 8, max: 8, onStream: false },
  [FrameType.PONG]: { min: 8, max: 8, onStream: false },
  [FrameType.GOAWAY]: { min: 0, max: TEXT_BYTES_MAX, onStream: false },
}

export type FrameHeader = {
  readonly type: number
  readonly more: boolean
  readonly length: number
  readonly streamId: number
}

/** @throws MuxProtocolError */
export function readHeader(bytes: Buffer, at: number): FrameHeader {
  const type = bytes.readUInt8(at)
  const flags = bytes.readUInt8(at + 1)
  const length = bytes.readUInt16BE(at + 2)
  const streamId = bytes.readUInt32BE(at + 4)
  const shape = SHAPES[type]
  if (shape === undefined) throw new MuxProtocolError(`unknown frame type ${type}`)
  const message = type === FrameType.OPEN || type === FrameType.HEAD
  if (flags > (message ? MORE : 0)) throw new MuxProtocolError(`unknown flags ${flags}`)
  if (length < shape.min || length > shape.max) {
    throw new MuxProtocolError(`a frame of type ${type} with ${length} bytes`)
  }
  if (flags === MORE && length < PAYLOAD_BYTES_MAX) {
    throw new MuxProtocolError('a message was cut into frames that are not full')
  }
  if (shape.onStream ? streamId < 1 || streamId > STREAM_ID_MAX : streamId !== 0) {
    throw new MuxProtocolError(`a frame of type ${type} with stream id ${streamId}`)
  }
  return { type, more: flags === MORE, length, streamId }
}

export function writeHeader(
  target: Buffer,
  at: number,
  type: FrameType,
  streamId: number,
  length: number,
  more: boolean,
): void {
  target[at] = type
  target[at + 1] = more ? MORE : 0
  target.writeUInt16BE(length, at + 2)
  target.writeUInt32BE(streamId, at + 4)
}

export function encodeHeader(
  type: FrameType,
  streamId: number,
  length: number,
  more = false,
): Buffer {
  const header = Buffer.allocUnsafe(HEADER_BYTES)
  writeHeader(header, 0, type, streamId, length, more)
  return header
}

function frame(type: FrameType, streamId: number, payload: Uint8Array): Buffer {
  return Buffer.concat([encodeHeader(type, streamId, payload.length), payload])
}

/** An OPEN or HEAD message in as many frames as it takes, header and payload by turns. */
export function encodeMessage(
  type: typeof FrameType.OPEN | typeof FrameType.HEAD,
  streamId: number,
  message: Uint8Array,
): Uint8Array[] {
  const parts: Uint8Array[] = []
  let at = 0
  do {
    const payload = message.subarray(at, at + PAYLOAD_BYTES_MAX)
    at += payload.length
    parts.push(encodeHeader(type, streamId, payload.length, at < message.length), payload)
  } while (at < message.length)
  return parts
}

export const encodeEnd = (streamId: number): Buffer => encodeHeader(FrameType.END, streamId, 0)

export function encodeReset(streamId: number, code: ResetCode, text: string): Buffer {
  const payload = Buffer.from([RESET_CODES.indexOf(code)])
  return frame(FrameType.RST, streamId, Buffer.concat([payload, encodeText(text)]))
}

export function decodeReset(payload: Buffer): { code: ResetCode; text: string } {
  const code = RESET_CODES[payload.readUInt8(0)]
  if (code === undefined) throw new MuxProtocolError('unknown reset code')
  return { code, text: payload.toString('utf8', 1) }
}

export function encodeWindow(streamId: number, bytes: number): Buffer {
  const payload = Buffer.allocUnsafe(4)
  payload.writeUInt32BE(bytes)
  return frame(FrameType.WINDOW, streamId, payload)
}

export const encodePing = (payload: Uint8Array): Buffer => frame(FrameType.PING, 0, payload)
export const encodePong = (payload: Uint8Array): Buffer => frame(FrameType.PONG, 0, payload)
export const encodeGoAway = (text: string): Buffer => frame(FrameType.GOAWAY, 0, encodeText(text))

function encodeText(text: string): Buffer {
  return Buffer.from(text).subarray(0, TEXT_BYTES_MAX)
}
