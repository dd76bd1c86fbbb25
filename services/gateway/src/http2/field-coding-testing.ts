import { once } from 'node:events'
import { type ClientHttp2Session, connect } from 'node:http2'
import { duplexPair } from 'node:stream'
import { FieldCodingError, type FieldDecoder, type FieldLine } from './field-decoder.ts'
import { Flag, FrameType, PREFACE } from './frame.ts'
import { frame, framesIn } from './frame-testing.ts'

/** RFC 7541, 5.1. `pattern` is what stands in the first byte before the `bits` of the integer. */
export function integer(pattern: number, bits: number, value: number): Buffer {
  const mask = 2 ** bits - 1
  if (value < mask) return Buffer.from([pattern | value])
  const bytes = [pattern | mask]
  let rest = value - mask
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes.push(0x80 | (rest % 0x80))
  return Buffer.from([...bytes, rest])
}

/** RFC 7541, 5.2. */
function string(text: string, coding: 'plain' | 'huffman' = 'plain'): Buffer {
  if (coding === 'plain') return Buffer.concat([integer(0, 7, text.length), bytesOf(text)])
  const coded = encodeHuffman(text)
  return Buffer.concat([integer(0x80, 7, coded.length), coded])
}

export const indexed = (index: number): Buffer => integer(0x80, 7, index)
export const tableSize = (bytes: number): Buffer => integer(0x20, 5, bytes)

const LITERALS = { indexing: [0x40, 6], plain: [0, 4], never: [0x10, 4] } as const
export type Literal = keyof typeof LITERALS

/** RFC 7541, 6.2. A name that is a number is an index. */
export function literal(
  kind: Literal,
  name: number | string,
  value: string,
  coding: 'plain' | 'huffman' = 'plain',
): Buffer {
  const [pattern, bits] = LITERALS[kind]
  const named =
    typeof name === 'number'
      ? integer(pattern, bits, name)
      : Buffer.concat([Buffer.from([pattern]), string(name, coding)])
  return Buffer.concat([named, string(value, coding)])
}

export const bytesOf = (text: string): Buffer => Buffer.from(text, 'latin1')
export const sizeOf = ([name, value]: FieldLine): number => name.length + value.length + 32

/** What a decoder has in its dynamic table, newest first. Looking changes nothing. */
export function tableOf(decoder: FieldDecoder): FieldLine[] {
  const lines: FieldLine[] = []
  for (let index = 62; ; index += 1) {
    try {
      lines.push(...(decoder.decode(indexed(index)) ?? []))
    } catch (error) {
      if (error instanceof FieldCodingError) return lines
      throw error
    }
  }
}

/** What comes of a block. @throws what is not an error of the coding */
export function outcome(decoder: FieldDecoder, block: Buffer): FieldLine[] | 'too much' | 'error' {
  try {
    return decoder.decode(block) ?? 'too much'
  } catch (error) {
    if (error instanceof FieldCodingError) return 'error'
    throw error
  }
}

/** RFC 7541, Appendix B: the code of each byte, then of EOS, as its number and how many bits it has. */
const HUFFMAN_CODES = `
  1ff8:13 7fffd8:23 fffffe2:28 fffffe3:28 fffffe4:28 fffffe5:28 fffffe6:28 fffffe7:28 fffffe8:28
  ffffea:24 3ffffffc:30 fffffe9:28 fffffea:28 3ffffffd:30 fffffeb:28 fffffec:28 fffffed:28
  fffffee:28 fffffef:28 ffffff0:28 ffffff1:28 ffffff2:28 3ffffffe:30 ffffff3:28 ffffff4:28
  ffffff5:28 ffffff6:28 ffffff7:28 ffffff8:28 ffffff9:28 ffffffa:28 ffffffb:28 14:6 3f8:10 3f9:10
  ffa:12 1ff9:13 15:6 f8:8 7fa:11 3fa:10 3fb:10 f9:8 7fb:11 fa:8 16:6 17:6 18:6 0:5 1:5 2:5 19:6
  1a:6 1b:6 1c:6 1d:6 1e:6 1f:6 5c:7 fb:8 7ffc:15 20:6 ffb:12 3fc:10 1ffa:13 21:6 5d:7 5e:7 5f:7
  60:7 61:7 62:7 63:7 64:7 65:7 66:7 67:7 68:7 69:7 6a:7 6b:7 6c:7 6d:7 6e:7 6f:7 70:7 71:7 72:7
  fc:8 73:7 fd:8 1ffb:13 7fff0:19 1ffc:13 3ffc:14 22:6 7ffd:15 3:5 23:6 4:5 24:6 5:5 25:6 26:6
  27:6 6:5 74:7 75:7 28:6 29:6 2a:6 7:5 2b:6 76:7 2c:6 8:5 9:5 2d:6 77:7 78:7 79:7 7a:7 7b:7
  7ffe:15 7fc:11 3ffd:14 1ffd:13 ffffffc:28 fffe6:20 3fffd2:22 fffe7:20 fffe8:20 3fffd3:22
  3fffd4:22 3fffd5:22 7fffd9:23 3fffd6:22 7fffda:23 7fffdb:23 7fffdc:23 7fffdd:23 7fffde:23
  ffffeb:24 7fffdf:23 ffffec:24 ffffed:24 3fffd7:22 7fffe0:23 ffffee:24 7fffe1:23 7fffe2:23
  7fffe3:23 7fffe4:23 1fffdc:21 3fffd8:22 7fffe5:23 3fffd9:22 7fffe6:23 7fffe7:23 ffffef:24
  3fffda:22 1fffdd:21 fffe9:20 3fffdb:22 3fffdc:22 7fffe8:23 7fffe9:23 1fffde:21 7fffea:23
  3fffdd:22 3fffde:22 fffff0:24 1fffdf:21 3fffdf:22 7fffeb:23 7fffec:23 1fffe0:21 1fffe1:21
  3fffe0:22 1fffe2:21 7fffed:23 3fffe1:22 7fffee:23 7fffef:23 fffea:20 3fffe2:22 3fffe3:22
  3fffe4:22 7ffff0:23 3fffe5:22 3fffe6:22 7ffff1:23 3ffffe0:26 3ffffe1:26 fffeb:20 7fff1:19
  3fffe7:22 7ffff2:23 3fffe8:22 1ffffec:25 3ffffe2:26 3ffffe3:26 3ffffe4:26 7ffffde:27 7ffffdf:27
  3ffffe5:26 fffff1:24 1ffffed:25 7fff2:19 1fffe3:21 3ffffe6:26 7ffffe0:27 7ffffe1:27 3ffffe7:26
  7ffffe2:27 fffff2:24 1fffe4:21 1fffe5:21 3ffffe8:26 3ffffe9:26 ffffffd:28 7ffffe3:27 7ffffe4:27
  7ffffe5:27 fffec:20 fffff3:24 fffed:20 1fffe6:21 3fffe9:22 1fffe7:21 1fffe8:21 7ffff3:23
  3fffea:22 3fffeb:22 1ffffee:25 1ffffef:25 fffff4:24 fffff5:24 3ffffea:26 7ffff4:23 3ffffeb:26
  7ffffe6:27 3ffffec:26 3ffffed:26 7ffffe7:27 7ffffe8:27 7ffffe9:27 7ffffea:27 7ffffeb:27
  ffffffe:28 7ffffec:27 7ffffed:27 7ffffee:27 7ffffef:27 7fffff0:27 3ffffee:26 3fffffff:30
`
  .trim()
  .split(/\s+/)
  .map((entry) => {
    const [code = '', bits = ''] = entry.split(':')
    return Number.parseInt(code, 16).toString(2).padStart(Number(bits), '0')
  })
export const EOS_BITS = HUFFMAN_CODES[256] ?? ''

/** Zeros and ones, eight a byte; what is missing in the last one is ones. */
export function bitsToBytes(bits: string): Buffer {
  const whole = bits.padEnd(Math.ceil(bits.length / 8) * 8, '1')
  return Buffer.from((whole.match(/.{8}/g) ?? []).map((byte) => Number.parseInt(byte, 2)))
}

export function huffmanBits(text: string): string {
  return [...bytesOf(text)].map((byte) => HUFFMAN_CODES[byte]).join('')
}

export const encodeHuffman = (text: string): Buffer => bitsToBytes(huffmanBits(text))

/** Reads one code after the other, bit by bit: what `decodeHuffman` must come to as well. */
export function decodeHuffmanNaively(bytes: Buffer): string | undefined {
  let bits = [...bytes].map((byte) => byte.toString(2).padStart(8, '0')).join('')
  const decoded: number[] = []
  for (;;) {
    const symbol = HUFFMAN_CODES.findIndex((code) => bits.startsWith(code))
    if (symbol === -1) break
    if (symbol === 256) return undefined
    decoded.push(symbol)
    bits = bits.slice(HUFFMAN_CODES[symbol]?.length)
  }
  return /^1{0,7}$/.test(bits) ? Buffer.from(decoded).toString('latin1') : undefined
}

/** A client of nghttp2, and what it writes to a server that is not there. */
export function createNghttp2Client() {
  const [ours, theirs] = duplexPair()
  let bytes = Buffer.alloc(0)
  theirs.on('data', (chunk: Buffer) => {
    bytes = Buffer.concat([bytes, chunk])
  })
  // The types have the second option for servers only.
  const options = { createConnection: () => ours, strictSingleValueFields: false }
  const session: ClientHttp2Session = connect('https://gateway', options)
  theirs.write(
    Buffer.concat([frame(FrameType.SETTINGS, 0, 0), frame(FrameType.SETTINGS, Flag.ACK, 0)]),
  )

  /** The field blocks so far, each of one or more frames. */
  function blocks(): Buffer[] {
    const found: Buffer[] = []
    let parts: Buffer[] = []
    for (const { type, flags, payload } of framesIn(bytes.subarray(PREFACE.length))) {
      const isFirst = type === FrameType.HEADERS
      if (!isFirst && type !== FrameType.CONTINUATION) continue
      if ((flags & Flag.PADDED) !== 0) throw new Error('a client that pads')
      parts.push(isFirst && (flags & Flag.PRIORITY) !== 0 ? payload.subarray(5) : payload)
      if ((flags & Flag.END_HEADERS) === 0) continue
      found.push(Buffer.concat(parts))
      parts = []
    }
    return found
  }

  /** The field blocks, once there are so many. */
  async function written(count: number): Promise<Buffer[]> {
    while (blocks().length < count) await once(theirs, 'data')
    return blocks()
  }

  return {
    session,
    /** Sends the lines as a request each; their field blocks. */
    async encode(lists: readonly (readonly FieldLine[])[]): Promise<Buffer[]> {
      for (const lines of lists) session.request(lines.flat()).on('error', () => {})
      return await written(lists.length)
    },
    written,
    /** Answers the request of a stream. */
    answer(streamId: number, block: Buffer) {
      const flags = Flag.END_HEADERS | Flag.END_STREAM
      theirs.write(frame(FrameType.HEADERS, flags, streamId, block))
    },
    [Symbol.dispose]: () => {
      session.destroy()
      theirs.destroy()
    },
  }
}
