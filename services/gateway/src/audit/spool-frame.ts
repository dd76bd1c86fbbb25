import { crc32 } from 'node:zlib'

/** A record as it lies in a segment: length and CRC-32, the number, then the bytes. */
const HEADER_BYTES = 16
const CHECKSUM_AT = 4
const NUMBER_AT = 8

export const RECORD_BYTES_MAX = 60 * 1024

/** Records that follow one another, numbered from the first on. */
export type SpooledRun = { readonly first: bigint; readonly records: readonly Buffer[] }

/** What a record takes there. */
export function frameBytes(record: Uint8Array): number {
  return HEADER_BYTES + record.byteLength
}

/** Records on their way to a segment, one behind the other as they will lie there. */
export class FrameGroup {
  #bytes: Buffer
  readonly #ends: number[] = []

  /** With room for so many bytes to begin with. */
  constructor(room: number) {
    this.#bytes = Buffer.allocUnsafe(room)
  }

  get bytes(): number {
    return this.#ends.at(-1) ?? 0
  }

  /** @throws RangeError for a record of more than RECORD_BYTES_MAX bytes, and has none of it then. */
  add(record: string): void {
    // A character takes a byte at least, and three at most.
    if (record.length > RECORD_BYTES_MAX) throw tooLarge()
    const at = this.bytes
    this.#makeRoom(at + HEADER_BYTES + 3 * record.length)
    const length = this.#bytes.write(record, at + HEADER_BYTES)
    if (length > RECORD_BYTES_MAX) throw tooLarge()
    this.#ends.push(at + HEADER_BYTES + length)
  }

  /** Gives them their numbers. What is to be written, and the records in it. */
  numbered(first: bigint): { readonly frames: Buffer; readonly records: Buffer[] } {
    const frames = this.#bytes.subarray(0, this.bytes)
    const fields = new DataView(frames.buffer, frames.byteOffset, frames.length)
    const records: Buffer[] = []
    let number = first
    let at = 0
    for (const end of this.#ends) {
      const length = end - at - HEADER_BYTES
      fields.setBigUint64(at + NUMBER_AT, number)
      // Where the checksum will stand stands the length until it is made: so all that it covers is in a row.
      fields.setUint32(at + CHECKSUM_AT, length)
      fields.setUint32(at + CHECKSUM_AT, crc32(frames.subarray(at + CHECKSUM_AT, end)))
      fields.setUint32(at, length)
      records.push(frames.subarray(at + HEADER_BYTES, end))
      number += 1n
      at = end
    }
    return { frames, records }
  }

  #makeRoom(bytes: number): void {
    if (bytes <= this.#bytes.length) return
    const larger = Buffer.allocUnsafe(Math.max(bytes, 2 * this.#bytes.length))
    this.#bytes.copy(larger, 0, 0, this.bytes)
    this.#bytes = larger
  }
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
  // The length is covered as well: it decides where the checked bytes end.
  const ofLength = crc32(segment.subarray(offset, offset + CHECKSUM_AT))
  if (
    segment.readUInt32BE(offset + CHECKSUM_AT) !==
      crc32(segment.subarray(offset + NUMBER_AT, next), ofLength) ||
    segment.readBigUInt64BE(offset + NUMBER_AT) !== number
  ) {
    return undefined
  }
  return { record: segment.subarray(offset + HEADER_BYTES, next), next }
}

function tooLarge(): RangeError {
  return new RangeError('an audit record is larger than the spool takes')
}
