import type { ClientHttp2Stream } from 'node:http2'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { bytesOf, createNghttp2Client, tableOf } from './field-coding-testing.ts'
import { FieldDecoder, type FieldLine } from './field-decoder.ts'
import { encodeField, encodeStatus, NO_TABLE } from './field-encoder.ts'
import { STATIC_TABLE } from './static-table.ts'

const seed = Date.now() & 0x7fffffff
const createDecoder = () =>
  new FieldDecoder({ tableBytes: 4096, listBytesMax: 1 << 24, linesMax: 1000 })
const byteText = (maxLength: number) =>
  fc.uint8Array({ maxLength }).map((bytes) => Buffer.from(bytes).toString('latin1'))
const knownName = fc.constantFrom(...STATIC_TABLE.map(([name]) => name))

test('every status of three digits is read back', () => {
  const decoder = createDecoder()
  for (let status = 100; status < 1000; status += 1) {
    const block = bytesOf(encodeStatus(status))
    expect(decoder.decode(block)).toEqual([[':status', String(status)]])
  }
})

test.each([200, 204, 206, 304, 400, 404, 500])('the status %i is one byte', (status) => {
  expect(encodeStatus(status)).toHaveLength(1)
})

test('the name of a field the static table has is at most two bytes', () => {
  for (const [name] of STATIC_TABLE) {
    expect(encodeField(name, '').length).toBeLessThanOrEqual(2 + 1)
    expect(createDecoder().decode(bytesOf(encodeField(name, 'v')))).toEqual([[name, 'v']])
  }
})

test('any fields are read back, and leave no trace in the table', () => {
  const field = fc.tuple(
    fc.oneof(knownName, byteText(20), byteText(300)),
    fc.oneof(byteText(20), byteText(300)),
  )
  const decoder = createDecoder()
  fc.assert(
    fc.property(fc.array(field, { maxLength: 10 }), (fields) => {
      const block = bytesOf(fields.map((one) => encodeField(...one)).join(''))
      expect(decoder.decode(block)).toEqual(fields)
      expect(tableOf(decoder)).toEqual([])
    }),
    { seed, numRuns: 500 },
  )
})

test.each([126, 127, 128, 254, 255, 256, 16_510, 16_511, 2_097_278, 2_097_279])(
  'a value of %i bytes is read back',
  (length) => {
    const value = 'v'.repeat(length)
    expect(createDecoder().decode(bytesOf(encodeField('a', value)))).toEqual([['a', value]])
  },
)

test('a peer that is told so keeps no table', () => {
  const decoder = createDecoder()
  decoder.decode(Buffer.from([0x40, 1, 0x61, 1, 0x62]))
  expect(decoder.decode(bytesOf(NO_TABLE + encodeStatus(200)))).toEqual([[':status', '200']])
  decoder.decode(Buffer.from([0x40, 1, 0x61, 1, 0x62]))
  expect(tableOf(decoder)).toEqual([])
})

const REQUEST: readonly FieldLine[] = [
  [':method', 'GET'],
  [':authority', 'gateway.example.com'],
  [':scheme', 'https'],
  [':path', '/'],
]

/** What node's client makes of an answer, in the order it came. */
async function linesOf(stream: ClientHttp2Stream): Promise<FieldLine[]> {
  const raw = await new Promise<string[]>((resolve, reject) => {
    stream.once('response', (_headers, _flags, rawHeaders) => resolve(rawHeaders))
    stream.once('error', reject)
  })
  return raw.flatMap((text, at) => (at % 2 === 0 ? [[text, raw[at + 1] ?? ''] as const] : []))
}

test('nghttp2 reads the answers of a connection as they were meant', async () => {
  const name = fc.oneof(
    fc.constantFrom('content-type', 'audit-id', 'set-cookie', 'vary'),
    fc.stringMatching(/^[a-z0-9!#$%&'*+.^_`|~-]{1,200}$/).map((text) => `x-${text}`),
  )
  const value = fc.stringMatching(/^([!-~\xa1-\xff]([ !-~\xa1-\xff]{0,300}[!-~\xa1-\xff])?)?$/)
  const answer = fc.tuple(
    fc.integer({ min: 200, max: 599 }),
    fc.array(fc.tuple(name, value), { maxLength: 10 }),
  )
  await fc.assert(
    fc.asyncProperty(fc.array(answer, { minLength: 1, maxLength: 5 }), async (answers) => {
      using client = createNghttp2Client()
      for (const [at, [status, fields]] of answers.entries()) {
        const stream = client.session.request(REQUEST.flat())
        const read = linesOf(stream)
        await client.written(at + 1)
        const lines = encodeStatus(status) + fields.map((one) => encodeField(...one)).join('')
        client.answer(2 * at + 1, bytesOf(at === 0 ? NO_TABLE + lines : lines))
        expect(await read).toEqual([[':status', String(status)], ...fields])
      }
    }),
    { seed, numRuns: 100 },
  )
})
