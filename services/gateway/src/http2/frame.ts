/**
 * The wire of HTTP/2 (RFC 9113, 4 and 6). A frame is `payload length u24, type u8, flags u8, stream id u31`
 * (big endian), then its payload.
 */
export const FrameType = {
  DATA: 0,
  HEADERS: 1,
  PRIORITY: 2,
  RST_STREAM: 3,
  SETTINGS: 4,
  PUSH_PROMISE: 5,
  PING: 6,
  GOAWAY: 7,
  WINDOW_UPDATE: 8,
  CONTINUATION: 9,
} as const

export const Flag = {
  NONE: 0,
  ACK: 1,
  END_STREAM: 1,
  END_HEADERS: 4,
  PADDED: 8,
  PRIORITY: 32,
} as const

/** RFC 9113, 7. */
export const ErrorCode = {
  NO_ERROR: 0,
  PROTOCOL_ERROR: 1,
  INTERNAL_ERROR: 2,
  FLOW_CONTROL_ERROR: 3,
  STREAM_CLOSED: 5,
  FRAME_SIZE_ERROR: 6,
  REFUSED_STREAM: 7,
  CANCEL: 8,
  COMPRESSION_ERROR: 9,
  ENHANCE_YOUR_CALM: 11,
} as const

/** RFC 9113, 6.5.2. */
export const Setting = {
  ENABLE_PUSH: 2,
  MAX_CONCURRENT_STREAMS: 3,
  INITIAL_WINDOW_SIZE: 4,
  MAX_FRAME_SIZE: 5,
  MAX_HEADER_LIST_SIZE: 6,
} as const

export const FRAME_HEADER_BYTES = 9
/** What a frame carries at most, as long as nobody says otherwise: we never do. */
export const FRAME_BYTES_MAX = 16_384
export const FRAME_BYTES_LIMIT = 2 ** 24 - 1
/** What every window begins with, each way, as long as nobody says otherwise. */
export const INITIAL_WINDOW_BYTES = 65_535
export const WINDOW_BYTES_MAX = 2 ** 31 - 1
export const STREAM_ID_MAX = 2 ** 31 - 1
/** What a client says first (RFC 9113, 3.4). */
export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')

/** The connection cannot go on (RFC 9113, 5.4.1); the message is for whoever reads the GOAWAY. */
export class Http2Error extends Error {
  override readonly name = 'Http2Error'
  readonly code: number

  constructor(code: number, message: string) {
    super(message)
    this.code = code
  }
}

export function writeFrameHeader(
  target: Buffer,
  frame: { length: number; type: number; flags: number; streamId: number },
): void {
  target.writeUIntBE(frame.length, 0, 3)
  target[3] = frame.type
  target[4] = frame.flags
  target.writeUInt32BE(frame.streamId, 5)
}

function encodeFrame(type: number, flags: number, streamId: number, payload: Buffer): Buffer {
  const bytes = Buffer.allocUnsafe(FRAME_HEADER_BYTES + payload.length)
  writeFrameHeader(bytes, { length: payload.length, type, flags, streamId })
  payload.copy(bytes, FRAME_HEADER_BYTES)
  return bytes
}

export function encodeReset(streamId: number, code: number): Buffer {
  return encodeFrame(FrameType.RST_STREAM, Flag.NONE, streamId, u32(code))
}

/** Credit for that many more bytes: of a stream, or of the connection where the id is 0. */
export function encodeWindowUpdate(streamId: number, bytes: number): Buffer {
  return encodeFrame(FrameType.WINDOW_UPDATE, Flag.NONE, streamId, u32(bytes))
}

export function encodeGoAway(lastStreamId: number, code: number, text: string): Buffer {
  const payload = Buffer.concat([u32(lastStreamId), u32(code), Buffer.from(text)])
  return encodeFrame(FrameType.GOAWAY, Flag.NONE, 0, payload)
}

export function encodePingAck(payload: Buffer): Buffer {
  return encodeFrame(FrameType.PING, Flag.ACK, 0, payload)
}

export const SETTINGS_ACK = encodeFrame(FrameType.SETTINGS, Flag.ACK, 0, Buffer.alloc(0))

export function encodeSettings(
  settings: readonly (readonly [id: number, value: number])[],
): Buffer {
  const payload = Buffer.alloc(6 * settings.length)
  for (const [at, [id, value]] of settings.entries()) {
    payload.writeUInt16BE(id, 6 * at)
    payload.writeUInt32BE(value, 6 * at + 2)
  }
  return encodeFrame(FrameType.SETTINGS, Flag.NONE, 0, payload)
}

function u32(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4)
  bytes.writeUInt32BE(value)
  return bytes
}
