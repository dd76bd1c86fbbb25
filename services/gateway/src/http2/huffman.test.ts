import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  bitsToBytes,
  decodeHuffmanNaively,
  EOS_BITS,
  encodeHuffman,
  huffmanBits,
} from './field-coding-testing.ts'
import { decodeHuffman } from './huffman.ts'

const decode = (bytes: Buffer) => decodeHuffman(bytes, 0, bytes.length)
const seed = Date.now() & 0x7fffffff
const byteText = fc
  .uint8Array({ maxLength: 200 })
  .map((bytes) => Buffer.from(bytes).toString('latin1'))

test.each([
  { text: 'www.example.com', hex: 'f1e3c2e5f23a6ba0ab90f4ff' },
  { text: 'no-cache', hex: 'a8eb10649cbf' },
  { text: 'custom-value', hex: '25a849e95bb8e8b4bf' },
  { text: '302', hex: '6402' },
  { text: 'Mon, 21 Oct 2013 20:13:21 GMT', hex: 'd07abe941054d444a8200595040b8166e082a62d1bff' },
  { text: '', hex: '' },
])('$text of RFC 7541, Appendix C, is decoded', ({ text, hex }) => {
  expect(decode(Buffer.from(hex, 'hex'))).toBe(text)
})

test('every byte has its code, wherever in a byte that begins', () => {
  for (let byte = 0; byte < 256; byte += 1) {
    for (let before = 0; before < 8; before += 1) {
      const text = `${'0'.repeat(before)}${String.fromCharCode(byte)}end`
      expect(decode(encodeHuffman(text))).toBe(text)
    }
  }
})

test('any text comes back, from the middle of other bytes as well', () => {
  fc.assert(
    fc.property(byteText, fc.nat({ max: 5 }), (text, around) => {
      const bytes = encodeHuffman(text)
      const padding = Buffer.alloc(around)
      const within = Buffer.concat([padding, bytes, padding])
      expect(decodeHuffman(within, around, around + bytes.length)).toBe(text)
    }),
    { seed, numRuns: 300 },
  )
})

test('any bytes are what the codes say one after the other, or nothing', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 24 }), (bytes) => {
      expect(decode(Buffer.from(bytes))).toBe(decodeHuffmanNaively(Buffer.from(bytes)))
    }),
    { seed, numRuns: 2000 },
  )
})

test('long codes with any end are what the codes say, or nothing', () => {
  const rare = fc.array(fc.constantFrom('\0', '\n', '\x16', '\xff', '~', '0'), { maxLength: 4 })
  fc.assert(
    fc.property(rare, fc.stringMatching(/^1{0,40}[01]{0,6}$/), (characters, end) => {
      const bytes = bitsToBytes(huffmanBits(characters.join('')) + end)
      expect(decode(bytes)).toBe(decodeHuffmanNaively(bytes))
    }),
    { seed, numRuns: 1000 },
  )
})

test.each([
  { name: 'EOS alone', bits: EOS_BITS },
  { name: 'EOS between others', bits: huffmanBits('a') + EOS_BITS + huffmanBits('a') },
  { name: 'a padding of eight bits', bits: `${huffmanBits('&')}11111111` },
  { name: 'a padding of a whole byte and more', bits: `${huffmanBits('a')}11111111111` },
  { name: 'a padding of zeros', bits: `${huffmanBits('a')}000` },
  { name: 'a padding that ends in a zero', bits: `${huffmanBits('a')}110` },
  { name: 'a code that is cut', bits: huffmanBits('\n').slice(0, 24) },
])('$name is broken', ({ bits }) => {
  expect(decode(bitsToBytes(bits))).toBeUndefined()
})

test('a text that was decoded stays as it is when others are', () => {
  const first = decode(encodeHuffman('the first of them'))
  const long = 'a'.repeat(20_000)
  expect(decode(encodeHuffman(long))).toBe(long)
  expect(decode(encodeHuffman('the other'))).toBe('the other')
  expect(first).toBe('the first of them')
})
