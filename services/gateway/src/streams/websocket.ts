import { createLengthFraming, type SessionFraming } from './framing.ts'

/** Channel of the remote command protocol that carries how the command ended (KEP-4006). */
const ERROR_CHANNEL = 3
const ERROR_BYTES_MAX = 8 * 1024
const Opcode = { text: 1, binary: 2, close: 8 } as const

export type ChannelEncoding = 'binary' | 'base64'

/** How a subprotocol of exec and attach carries a Status; `undefined` if it carries none. */
export function statusEncoding(subprotocol = ''): ChannelEncoding | undefined {
  switch (subprotocol) {
    case 'v5.channel.k8s.io':
    case 'v4.channel.k8s.io':
      return 'binary'
    case 'v4.base64.channel.k8s.io':
      return 'base64'
    default:
      return undefined
  }
}

/** Follows what a server sends (RFC 6455, 5.2) and keeps what arrives on the error channel. */
export function createWebSocketFraming(encoding: ChannelEncoding | undefined): SessionFraming {
  let kept: Buffer = Buffer.alloc(0)
  let onErrorChannel = false
  let first = false
  let inMessage = false
  let isClosing = false
  const framing = createLengthFraming({
    headerBytes(start) {
      const length = (start[1] ?? 0) & 0x7f
      const mask = ((start[1] ?? 0) & 0x80) === 0 ? 0 : 4
      return 2 + (length === 126 ? 2 : length === 127 ? 8 : 0) + mask
    },
    payloadBytes(header) {
      const length = (header[1] ?? 0) & 0x7f
      if (length === 126) return header.readUInt16BE(2)
      return length === 127 ? Number(header.readBigUInt64BE(2)) : length
    },
    onHeader(header) {
      const opcode = (header[0] ?? 0) & 0x0f
      const final = ((header[0] ?? 0) & 0x80) !== 0
      if (opcode === Opcode.close) isClosing = true
      if (opcode >= Opcode.close) {
        first = false
        onErrorChannel = false
        // A control frame may lie between the fragments of a message, but does not end it.
        return !inMessage
      }
      first = opcode !== 0
      if (first) onErrorChannel = false
      inMessage = !final
      return final
    },
    onPayload(bytes) {
      const channel = encoding === 'base64' ? ERROR_CHANNEL + 0x30 : ERROR_CHANNEL
      const starts = first && bytes.length > 0
      if (starts) onErrorChannel = encoding !== undefined && bytes[0] === channel
      const from = starts ? 1 : 0
      const room = ERROR_BYTES_MAX - kept.length
      if (onErrorChannel && room > 0) {
        kept = Buffer.concat([kept, bytes.subarray(from, from + room)])
      }
      if (starts) first = false
    },
  })
  return {
    get atBoundary() {
      return framing.atBoundary
    },
    advance: (chunk, from) => framing.advance(chunk, from),
    get status() {
      return encoding === 'base64' ? Buffer.from(kept.toString('latin1'), 'base64') : kept
    },
    get hasEnded() {
      return (isClosing || kept.length > 0) && framing.atBoundary
    },
  }
}

/** A Status on the error channel, then Close: kubectl prints its message and exits with 1. */
export function webSocketFarewell(
  encoding: ChannelEncoding | undefined,
  status: string,
  reason: string,
): Buffer {
  const frames: Buffer[] = []
  if (encoding === 'binary') {
    const payload = Buffer.concat([Buffer.from([ERROR_CHANNEL]), Buffer.from(status)])
    frames.push(frame(Opcode.binary, payload))
  } else if (encoding === 'base64') {
    const payload = `${ERROR_CHANNEL}${Buffer.from(status).toString('base64')}`
    frames.push(frame(Opcode.text, Buffer.from(payload)))
  }
  const code = Buffer.alloc(2)
  // 1000 where the Status has said it all, 1008 (policy violation) where it is all there is.
  code.writeUInt16BE(encoding === undefined ? 1008 : 1000)
  const text = encoding === undefined ? Buffer.from(reason).subarray(0, 120) : Buffer.alloc(0)
  frames.push(frame(Opcode.close, Buffer.concat([code, text])))
  return Buffer.concat(frames)
}

function frame(opcode: number, payload: Buffer): Buffer {
  const short = payload.length < 126
  const header = Buffer.alloc(short ? 2 : 4)
  header[0] = 0x80 | opcode
  header[1] = short ? payload.length : 126
  if (!short) header.writeUInt16BE(payload.length, 2)
  return Buffer.concat([header, payload])
}
