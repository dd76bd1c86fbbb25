import { createLengthFraming, type SessionFraming } from './framing.ts'

/**
 * client-go opens the error stream first (tools/remotecommand/v2.go), and a client's first stream
 * has id 1. If another client does otherwise, the message lands in its output; the cut is the same.
 */
const ERROR_STREAM = 1
const STATUS_BYTES_MAX = 8 * 1024
const FLAG_FIN = 1
const GOAWAY_TYPE = 7

/** The versions of the remote command protocol whose error stream carries a Status. */
export function carriesStatus(streamProtocol: string | undefined): boolean {
  return streamProtocol === 'v4.channel.k8s.io' || streamProtocol === 'v5.channel.k8s.io'
}

/** Follows SPDY/3.1 frames of a server (8 bytes of header) and keeps what the error stream says. */
export function createSpdyFraming(): SessionFraming {
  let status: Buffer = Buffer.alloc(0)
  let onErrorStream = false
  const framing = createLengthFraming({
    headerBytes: () => 8,
    payloadBytes: (header) => header.readUIntBE(5, 3),
    onHeader(header) {
      // A data frame has its first bit unset, and then the stream's id.
      onErrorStream = header.readUInt32BE(0) === ERROR_STREAM
      return true
    },
    onPayload(bytes) {
      const room = STATUS_BYTES_MAX - status.length
      if (onErrorStream && room > 0) status = Buffer.concat([status, bytes.subarray(0, room)])
    },
  })
  return {
    get atBoundary() {
      return framing.atBoundary
    },
    advance: (chunk, from) => framing.advance(chunk, from),
    get status() {
      return status
    },
    // A client takes an error stream that ended without a Status for success.
    get hasEnded() {
      return status.length > 0 && framing.atBoundary
    },
  }
}

/** A Status on the error stream, its end, and GOAWAY. */
export function spdyFarewell(status: string): Buffer {
  const payload = Buffer.from(status)
  const data = Buffer.alloc(8)
  data.writeUInt32BE(ERROR_STREAM, 0)
  data[4] = FLAG_FIN
  data.writeUIntBE(payload.length, 5, 3)
  const goAway = Buffer.alloc(16)
  goAway.writeUInt16BE(0x8003, 0)
  goAway.writeUInt16BE(GOAWAY_TYPE, 2)
  goAway.writeUIntBE(8, 5, 3)
  return Buffer.concat([data, payload, goAway])
}
