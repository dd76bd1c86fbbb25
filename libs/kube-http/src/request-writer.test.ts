import { expect, test } from 'vitest'
import { HeadError } from './head-codec.ts'
import type { HeaderLines } from './header-lines.ts'
import { framingFor, prepareLines, writeChunk, writeRequestHead } from './request-writer.ts'

const good = {
  method: 'POST',
  target: '/api',
  headers: [prepareLines([['Host', 'x']]), prepareLines([['A', 'b']])],
  framing: { kind: 'chunked' },
} as const

test('the framing is ours, whatever the headers say', () => {
  const headers: HeaderLines = [
    ['Host', 'x'],
    ['Content-Length', '7'],
    ['Connection', 'keep-alive'],
    ['Transfer-Encoding', 'identity'],
  ]
  const prepared = prepareLines(headers)
  const text = writeRequestHead({ ...good, headers: [prepared] })
  expect(text).toBe('POST /api HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n')
  expect(prepared.lines).toEqual([['Host', 'x']])
})

test.each([
  { name: 'a line break in the target', change: { target: '/a\r\nB: c' } },
  { name: 'a space in the target', change: { target: '/a HTTP/1.1' } },
  { name: 'a line break in the method', change: { method: 'GET /\r\n' } },
])('$name cannot split a request', ({ change }) => {
  expect(() => writeRequestHead({ ...good, ...change })).toThrow(HeadError)
})

test.each([
  { name: 'a line break in a value', line: ['A', 'b\r\nC: d'] },
  { name: 'a line feed in a value', line: ['A', 'b\nC: d'] },
  { name: 'a null byte in a value', line: ['A', '\0'] },
  { name: 'a character beyond a byte', line: ['A', '\u0100'] },
  { name: 'a line break in a name', line: ['A\r\nB', 'c'] },
  { name: 'a colon in a name', line: ['A: b', 'c'] },
  { name: 'an empty name', line: ['', 'c'] },
] as const)('$name cannot split a request', ({ line }) => {
  expect(() => prepareLines([line])).toThrow(HeadError)
})

test('lines that were prepared apart stand one after the other', () => {
  const text = writeRequestHead(good)
  expect(text).toBe('POST /api HTTP/1.1\r\nHost: x\r\nA: b\r\nTransfer-Encoding: chunked\r\n\r\n')
})

test.each([
  { method: 'POST', lengths: ['3'], framing: { kind: 'length', bytes: 3 } },
  { method: 'POST', lengths: [], framing: { kind: 'chunked' } },
  { method: 'GET', lengths: [], framing: { kind: 'none' } },
  { method: 'DELETE', lengths: [], framing: { kind: 'chunked' } },
])('a $method with lengths $lengths is framed as $framing.kind', ({ method, lengths, framing }) => {
  const headers = lengths.map((length) => ['Content-Length', length] as const)
  expect(framingFor(method, headers)).toEqual(framing)
})

test('an empty part of a body does not end it', () => {
  expect(writeChunk(Buffer.alloc(0))).toEqual([])
  expect(Buffer.concat(writeChunk(Buffer.from('hello world, 16'))).toString()).toBe(
    'f\r\nhello world, 16\r\n',
  )
})
