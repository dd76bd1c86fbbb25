import { decodeHuffman } from './huffman.ts'
import { type FieldLine, STATIC_TABLE } from './static-table.ts'

export type { FieldLine } from './static-table.ts'

/** What a line counts beside its name and value (RFC 7541, 4.1; RFC 9113, 6.5.2). */
const LINE_BYTES = 32
/** What the table of a peer begins with, whatever it was allowed since (RFC 9113, 6.5.2). */
const TABLE_BYTES_FIRST = 4096
const INTEGER_MAX = 2 ** 28
const CONTINUATIONS_MAX = 5

/**
 * Error of the connection: COMPRESSION_ERROR (RFC 9113, 4.3). What was decoded before cannot be followed
 * by anything.
 */
export class FieldCodingError extends Error {
  override readonly name = 'FieldCodingError'
}

/** Decodes the field blocks of one connection, in the order they came (RFC 7541). */
export class FieldDecoder {
  readonly #listBytesMax: number
  readonly #linesMax: number
  /** What we allow, and what the peer chose to use of it. */
  readonly #tableBytesMax: number
  #tableBytesUsed: number
  /** A ring: the newest line, and before it the older ones. */
  readonly #table: (FieldLine | undefined)[]
  readonly #mask: number
  #newest = 0
  #count = 0
  #tableBytes = 0
  /** How far the block is read. */
  #at = 0

  /** `listBytesMax` counts names, values and 32 for each line (RFC 9113, 6.5.2). */
  constructor(bounds: {
    readonly tableBytes: number
    readonly listBytesMax: number
    readonly linesMax: number
  }) {
    this.#listBytesMax = bounds.listBytesMax
    this.#linesMax = bounds.linesMax
    this.#tableBytesMax = bounds.tableBytes
    this.#tableBytesUsed = Math.min(bounds.tableBytes, TABLE_BYTES_FIRST)
    let slots = 1
    while (slots * LINE_BYTES < bounds.tableBytes) slots *= 2
    this.#table = Array.from({ length: slots }, () => undefined)
    this.#mask = slots - 1
  }

  /**
   * The lines of one whole field block, in their order; undefined where they are more than the bounds
   * allow: the tables are kept in step all the same.
   * @throws FieldCodingError
   */
  decode(block: Buffer): FieldLine[] | undefined {
    let lines: FieldLine[] | undefined = []
    let listBytes = 0
    this.#at = 0
    this.#resize(block)
    while (this.#at < block.length) {
      const line = this.#line(block)
      if (lines === undefined) continue
      listBytes += bytesOf(line)
      if (listBytes <= this.#listBytesMax && lines.length < this.#linesMax) lines.push(line)
      else lines = undefined
    }
    return lines
  }

  /** Table size updates: only before the first line (RFC 7541, 4.2), and only to what is allowed (6.3). */
  #resize(block: Buffer): void {
    let first = block[0]
    while (first !== undefined && first >> 5 === 0b001) {
      this.#at += 1
      const tableBytes = this.#integer(block, first, 0x1f)
      if (tableBytes > this.#tableBytesMax) throw new FieldCodingError('a table that is too large')
      this.#tableBytesUsed = tableBytes
      this.#evict(tableBytes)
      first = block[this.#at]
    }
  }

  /** RFC 7541, 6: what a line is shows in its first bits. */
  #line(block: Buffer): FieldLine {
    const first = this.#byte(block)
    if (first >> 7 === 0b1) return this.#entry(this.#integer(block, first, 0x7f))
    if (first >> 6 === 0b01) {
      const line = this.#literal(block, first, 0x3f)
      this.#insert(line)
      return line
    }
    if (first >> 5 === 0b001) throw new FieldCodingError('a table size behind a line')
    // 0b0001 asks those who pass the line on never to index it (6.2.3), 0b0000 does not (6.2.2).
    return this.#literal(block, first, 0x0f)
  }

  #literal(block: Buffer, first: number, mask: number): FieldLine {
    const index = this.#integer(block, first, mask)
    const name = index === 0 ? this.#text(block) : this.#entry(index)[0]
    return [name, this.#text(block)]
  }

  /** One address space: the static table, then the dynamic one, newest first (RFC 7541, 2.3.3). */
  #entry(index: number): FieldLine {
    const age = index - STATIC_TABLE.length - 1
    let line: FieldLine | undefined
    if (age < 0) line = index > 0 ? STATIC_TABLE[index - 1] : undefined
    else if (age < this.#count) line = this.#table[(this.#newest - age) & this.#mask]
    if (line === undefined) throw new FieldCodingError('an index that stands for nothing')
    return line
  }

  /** RFC 7541, 4.4: a line that is larger than the table empties it. */
  #insert(line: FieldLine): void {
    const bytes = bytesOf(line)
    this.#evict(this.#tableBytesUsed - bytes)
    if (bytes > this.#tableBytesUsed) return
    this.#newest = (this.#newest + 1) & this.#mask
    this.#table[this.#newest] = line
    this.#count += 1
    this.#tableBytes += bytes
  }

  #evict(bytesLeft: number): void {
    while (this.#count > 0 && this.#tableBytes > bytesLeft) {
      this.#count -= 1
      const slot = (this.#newest - this.#count) & this.#mask
      const oldest = this.#table[slot]
      if (oldest !== undefined) this.#tableBytes -= bytesOf(oldest)
      this.#table[slot] = undefined
    }
  }

  /** RFC 7541, 5.1. `mask` covers the bits of the first byte that belong to the integer. */
  #integer(block: Buffer, first: number, mask: number): number {
    let value = first & mask
    if (value < mask) return value
    let unit = 1
    for (let continuations = 0; continuations < CONTINUATIONS_MAX; continuations += 1) {
      const byte = this.#byte(block)
      value += (byte & 0x7f) * unit
      if (value > INTEGER_MAX) break
      if (byte < 0x80) return value
      unit *= 0x80
    }
    throw new FieldCodingError('an integer that is too large')
  }

  /** RFC 7541, 5.2. */
  #text(block: Buffer): string {
    const first = this.#byte(block)
    const length = this.#integer(block, first, 0x7f)
    const start = this.#at
    const end = start + length
    if (end > block.length) throw new FieldCodingError('a string that goes beyond its block')
    this.#at = end
    if (first < 0x80) return block.toString('latin1', start, end)
    const text = decodeHuffman(block, start, end)
    if (text === undefined) throw new FieldCodingError('a broken Huffman code')
    return text
  }

  #byte(block: Buffer): number {
    const byte = block[this.#at]
    if (byte === undefined) throw new FieldCodingError('a block that ends within a line')
    this.#at += 1
    return byte
  }
}

function bytesOf(line: FieldLine): number {
  return line[0].length + line[1].length + LINE_BYTES
}
