import { crc32 } from 'node:zlib'

/** A record as it lies in a segment: length and CRC-32, the number, then the bytes. */
const HEADER_BYTES = 16

export const RECORD_BYTES_MAX = 60 * 1024

/** Records that follow one another, numbered from the first on. */
export type SpooledRun = { readonly first: bigint; readonly records: readonly Buffer[] }

/** What a record takes there. */
export function frameBytes(record: Uint8Array): number {
  return HEADER_BYTES + record.byteLength
}

/** One behind the other. */
export function encodeRun({ first, records }: SpooledRun): Buffer {
  const frames = Buffer.allocUnsafe(records.reduce((sum, record) => sum + frameBytes(record), 0))
  let at = 0
  let number = first
  for (const record of records) {
    const end = at + frameBytes(record)
    frames.writeUInt32BE(record.byteLength, at)
    frames.writeBigUInt64BE(number, at + 8)
    frames.set(record, at + HEADER_BYTES)
    frames.writeUInt32BE(checksum(frames, at, end), at + 4)
    at = end
    number += 1n
  }
  return frames
}

/**
 * The record at an offset and where the next begins; `undefined` where the bytes are not a whole,
 * intact record with the number that must stand there.
 */
export function decodeRecord(
  segment: Buffer,
  offset: number,
  number: bigint,
): { record: Buffer; next: number } | undefined {
  if (offset + HEADER_BYTES > segment.length) return undefined
  const length = segment.readUInt32BE(offset)
  const next = offset + HEADER_BYTES + length
  if (length > RECORD_BYTES_MAX || next > segment.length) return undefined
  if (
    segment.readUInt32BE(offset + 4) !== checksum(segment, offset, next) ||
    segment.readBigUInt64BE(offset + 8) !== number
  ) {
    return undefined
  }
  return { record: segment.subarray(offset + HEADER_BYTES, next), next }
}

// The length is covered as well: it decides where the checked bytes end.
function checksum(frames: Buffer, start: number, end: number): number {
  return crc32(frames.subarray(start + 8, end), crc32(frames.subarray(start, start + 4)))
}
