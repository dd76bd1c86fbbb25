import { Duplex } from 'node:stream'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { AnswerBatch } from './answer-batch.ts'

const BATCH_BYTES = 128 * 1024

function socketOf() {
  const writes: Buffer[] = []
  const socket = new Duplex({
    read() {},
    write(chunk: Buffer, _encoding, done) {
      writes.push(Buffer.from(chunk))
      done()
    },
  })
  return { socket, writes }
}

const length = fc.oneof(
  fc.integer({ min: 0, max: 300 }),
  fc.integer({ min: 0, max: 40_000 }),
  fc.integer({ min: BATCH_BYTES - 2, max: 3 * BATCH_BYTES }),
)
const step = fc.oneof(
  fc.record({ kind: fc.constantFrom('bytes' as const, 'text' as const), length }),
  fc.record({ kind: fc.constant('expect' as const), length }),
  fc.record({ kind: fc.constant('flush' as const), length: fc.constant(0) }),
)

test('whatever is said in whatever pieces is written whole and in order, and is the caller’s again', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
      const { socket, writes } = socketOf()
      const batch = new AnswerBatch(socket)
      const said: Buffer[] = []
      for (const [index, { kind, length: bytes }] of steps.entries()) {
        if (kind === 'flush') batch.flush()
        if (kind === 'expect') batch.expect(bytes)
        if (kind === 'text') batch.add(String.fromCharCode(200 + index).repeat(bytes))
        if (kind === 'bytes') {
          const chunk = Buffer.alloc(bytes, 200 + index)
          batch.add(chunk)
          chunk.fill(0)
        }
        if (kind === 'text' || kind === 'bytes') said.push(Buffer.alloc(bytes, 200 + index))
      }
      batch.flush()
      expect(Buffer.concat(writes).equals(Buffer.concat(said))).toBe(true)
      expect(Math.max(0, ...writes.map((written) => written.length))).toBeLessThanOrEqual(
        BATCH_BYTES,
      )
    }),
    { numRuns: 300 },
  )
})

test('what is said until it is flushed is one write', () => {
  const { socket, writes } = socketOf()
  const batch = new AnswerBatch(socket)
  batch.add('HTTP/1.1 200 OK\r\n\r\n')
  for (let times = 0; times < 7; times += 1) batch.add(Buffer.alloc(16 * 1024))
  expect(writes).toEqual([])
  batch.flush()
  expect(writes.map((written) => written.length)).toEqual([19 + 7 * 16 * 1024])
})

test('a flush says when everything before it is sent, also where nothing waits', async () => {
  const { socket, writes } = socketOf()
  const batch = new AnswerBatch(socket)
  batch.add('a')
  await new Promise<void>((resolve) => batch.flush(resolve))
  expect(writes.map(String)).toEqual(['a'])
  await new Promise<void>((resolve) => batch.flush(resolve))
})
