import { crc32 } from 'node:zlib'

/** A record as it lies in a segment: length and CRC-32, the number, then the bytes. */
const HEADER_BYTES = 16

export const RECORD_BYTES_MAX = 60 * 1024

export type SpooledRecord = { readonly number: bigint; readonly bytes: Buffer }

export function encodeRecord(number: bigint, bytes: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(HEADER_BYTES + bytes.byteLength)
  frame.writeUInt32BE(bytes.byteLength, 0)
  frame.writeBigUInt64BE(number, 8)
  frame.set(bytes, HEADER_BYTES)
  frame.writeUInt32BE(checksum(frame), 4)
  return frame
}

/**
 * The record at an offset and where the next begins; `undefined` where the bytes are not a whole,
 * intact record with the number that must stand there.
 */
export function decodeRecord(
  segment: Buffer,
  offset: number,
  number: bigint,
): { record: SpooledRecord; next: number } | undefined {
  if (offset + HEADER_BYTES > segment.length) return undefined
  const length = segment.readUInt32BE(offset)
  const next = offset + HEADER_BYTES + length
  if (length > RECORD_BYTES_MAX || next > segment.length) return undefined
  const frame = segment.subarray(offset, next)
  if (frame.readUInt32BE(4) !== checksum(frame) || frame.readBigUInt64BE(8) !== number) {
    return undefined
  }
  return { record: { number, bytes: frame.subarray(HEADER_BYTES) }, next }
}

// The length is covered as well: it decides where the checked bytes end.
function checksum(frame: Buffer): number {
  return crc32(frame.subarray(8), crc32(frame.subarray(0, 4)))
}
