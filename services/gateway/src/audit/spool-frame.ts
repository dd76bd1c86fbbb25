import { crc32 } from 'node:zlib'

/** A record as it lies in a segment: length and CRC-32, the number, then the bytes. */
const HEADER_BYTES = 16

export const RECORD_BYTES_MAX = 60 * 1024

export type SpooledRecord = { readonly number: bigint; readonly bytes: Buffer }

/** What a record takes there. */
export function frameBytes(record: Uint8Array): number {
  return HEADER_BYTES + record.byteLength
}

/** Records one behind the other, numbered from the first on. */
export function encodeRecords(first: bigint, records: readonly Uint8Array[]): Buffer {
  const frames = Buffer.allocUnsafe(records.reduce((sum, record) => sum + frameBytes(record), 0))
  let at = 0
  for (const [index, record] of records.entries()) {
    const frame = frames.subarray(at, at + frameBytes(record))
    frame.writeUInt32BE(record.byteLength, 0)
    frame.writeBigUInt64BE(first + BigInt(index), 8)
    frame.set(record, HEADER_BYTES)
    frame.writeUInt32BE(checksum(frame), 4)
    at += frame.length
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
