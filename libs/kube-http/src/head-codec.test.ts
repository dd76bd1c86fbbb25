import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { RequestHead, ResponseHead } from './head.ts'
import {
  decodeLines,
  decodeRequestHead,
  decodeResponseHead,
  EncodedLines,
  encodeRequestHead,
  encodeResponseHead,
  HeadError,
} from './head-codec.ts'

const visible = (characters: string, maxLength: number) =>
  fc.string({ unit: fc.constantFrom(...characters.split('')), maxLength })
const letters = 'abcXYZ019-_'
const headers = fc.array(
  fc.tuple(
    fc.string({ unit: fc.constantFrom(...letters.split('')), minLength: 1, maxLength: 20 }),
    fc
      .array(fc.oneof(fc.integer({ min: 0x20, max: 0x7e }), fc.integer({ min: 0x80, max: 0xff })), {
        maxLength: 300,
      })
      .map((codes) => String.fromCharCode(...codes)),
  ),
  { maxLength: 20 },
)
const requestHead: fc.Arbitrary<RequestHead> = fc.record(
  {
    sessionId: visible(letters, 40),
    auditId: visible(letters, 40),
    traceparent: visible(letters, 60),
    method: fc.constantFrom('GET', 'POST', 'PATCH'),
    target: visible(`${letters}/?%=&`, 2000).map((text) => `/${text}`),
    headers,
    upgrade: fc.constantFrom('websocket', 'SPDY/3.1'),
  },
  { requiredKeys: ['sessionId', 'auditId', 'traceparent', 'method', 'target', 'headers'] },
)
const responseHead: fc.Arbitrary<ResponseHead> = fc.record({
  status: fc.integer({ min: 100, max: 599 }),
  headers,
})

const encode = (head: RequestHead) => encodeRequestHead(head, new EncodedLines(head.headers))

test('every head arrives as it was sent', () => {
  fc.assert(
    fc.property(requestHead, responseHead, (request, response) => {
      expect(decodeRequestHead(encode(request), decodeLines)).toEqual(request)
      expect(decodeResponseHead(encodeResponseHead(response))).toEqual(response)
    }),
    { numRuns: 1_000 },
  )
})

test('a head that is cut, or followed by something, is none', () => {
  const encoded = encode({
    sessionId: 's',
    auditId: 'a',
    traceparent: '',
    method: 'GET',
    target: '/api',
    headers: [['Accept', 'x']],
  })
  for (let length = 0; length < encoded.length; length += 1) {
    expect(() => decodeRequestHead(encoded.subarray(0, length), decodeLines)).toThrow(HeadError)
  }
  expect(() => decodeRequestHead(Buffer.concat([encoded, Buffer.of(0)]), decodeLines)).toThrow(
    HeadError,
  )
  expect(() => decodeResponseHead(encoded)).toThrow(HeadError)
})

/** What the bytes decode to, encoded; themselves where they are refused. */
function encodedAgain(input: Uint8Array): Buffer {
  try {
    return encode(decodeRequestHead(input, decodeLines))
  } catch (error) {
    if (error instanceof HeadError) return Buffer.from(input)
    throw error
  }
}

test('whatever bytes come, they are a head that encodes to the same bytes, or a HeadError', () => {
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    // Nearly right: one byte of a true head is another.
    fc.tuple(requestHead, fc.nat(), fc.nat({ max: 255 })).map(([head, at, value]) => {
      const encoded = encode(head)
      encoded[at % encoded.length] = value
      return encoded
    }),
  )
  fc.assert(
    fc.property(bytes, (input) => {
      expect(encodedAgain(input)).toEqual(Buffer.from(input))
    }),
    { numRuns: 5_000 },
  )
})

const good: RequestHead = {
  sessionId: 's',
  auditId: 'a',
  traceparent: '',
  method: 'GET',
  target: '/api',
  headers: [],
}

test.each([
  { name: 'a line feed in a value', change: { headers: [['A', 'x\nB: y']] as const } },
  { name: 'a carriage return in a value', change: { headers: [['A', 'x\ry']] as const } },
  { name: 'a null byte in a value', change: { headers: [['A', '\0']] as const } },
  { name: 'a character beyond a byte', change: { headers: [['A', '\u0100']] as const } },
  { name: 'a colon in a name', change: { headers: [['A: b', 'x']] as const } },
  { name: 'an empty name', change: { headers: [['', 'x']] as const } },
  { name: 'a space in the target', change: { target: '/a b' } },
  { name: 'a target that is no path', change: { target: 'http://x/' } },
  { name: 'a method in small letters', change: { method: 'get' } },
  { name: 'a line feed in an id', change: { auditId: 'a\nb' } },
  { name: 'more than a mebibyte', change: { headers: [['A', 'x'.repeat(1 << 20)]] as const } },
  {
    name: 'thousands of headers',
    change: { headers: Array.from({ length: 2001 }, () => ['A', ''] as const) },
  },
])('$name is never sent', ({ change }) => {
  expect(() => encode({ ...good, ...change })).toThrow(HeadError)
})

test('a length may be written in one way only', () => {
  const encoded = encodeResponseHead({ status: 200, headers: [] })
  const padded = Buffer.concat([encoded.subarray(0, 4), Buffer.of(0x80, 0x00)])
  expect(() => decodeResponseHead(padded)).toThrow(HeadError)
})
