import { expect, test } from 'vitest'
import { HeadError } from './head-codec.ts'
import type { HeaderLines } from './header-lines.ts'
import { framingFor, prepareLines, writeChunk, writeRequestHead } from './request-writer.ts'

const good = {
  method: 'POST',
  target: '/api',
  headers: [['Host', 'x']],
  framing: { kind: 'chunked' },
} as const

test('the framing is ours, whatever the headers say', () => {
  const headers: HeaderLines = [
    ['Host', 'x'],
    ['Content-Length', '7'],
    ['Connection', 'keep-alive'],
    ['Transfer-Encoding', 'identity'],
  ]
  const text = writeRequestHead({ ...good, headers })
  expect(text).toBe('POST /api HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n')
})

test.each([
  { name: 'a line break in a value', change: { headers: [['A', 'b\r\nC: d']] as const } },
  { name: 'a line break in a name', change: { headers: [['A\r\nB', 'c']] as const } },
  { name: 'a line break in the target', change: { target: '/a\r\nB: c' } },
  { name: 'a space in the target', change: { target: '/a HTTP/1.1' } },
  { name: 'a line break in the method', change: { method: 'GET /\r\n' } },
])('$name cannot split a request', ({ change }) => {
  expect(() => writeRequestHead({ ...good, ...change })).toThrow(HeadError)
})

test('what is prepared once is checked as strictly, and stands before the rest', () => {
  expect(() => prepareLines([['Authorization', 'Bearer a\r\nB: c']])).toThrow(HeadError)
  const prepared = prepareLines([['Host', 'x']])
  const text = writeRequestHead({ ...good, prepared, headers: [['A', 'b']] })
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
