import { duplexPair } from 'node:stream'
import { setImmediate } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { FrameType } from './frame.ts'
import { FrameReader } from './frame-reader.ts'
import { createMuxSession } from './session.ts'

const RECORD_BYTES = 16 * 1024

/** Where in each write its frames of bytes end, and how much each carries. */
function framesOf(writes: readonly Buffer[]): { end: number; length: number }[] {
  return writes.flatMap((bytes) => {
    const frames: { end: number; length: number }[] = []
    for (let at = 0; at < bytes.length; ) {
      const length = bytes.readUInt16BE(at + 2)
      const end = at + 8 + length
      if (bytes.readUInt8(at) === FrameType.DATA) frames.push({ end, length })
      at = end
    }
    return frames
  })
}

function writing() {
  const [a, b] = duplexPair()
  const writes: Buffer[] = []
  b.on('data', (chunk: Buffer) => writes.push(Buffer.from(chunk)))
  const session = createMuxSession(a, { role: 'client' })
  return { session, writes }
}

test('frames of bytes fill up TLS records, so that each is read in one piece', async () => {
  const { session, writes } = writing()
  const streams = [1, 2, 3].map(() => session.open(Buffer.from('head')))
  for (const stream of streams) {
    stream.write(Buffer.alloc(60_000))
    stream.write(Buffer.alloc(60_000))
  }
  for (let turns = 0; turns < 10; turns += 1) await setImmediate()
  const frames = framesOf(writes)
  expect(frames.reduce((sum, { length }) => sum + length, 0)).toBe(3 * 120_000)
  const aligned = frames.filter(({ end }) => end % RECORD_BYTES === 0)
  // All but the last of each stream, and the one behind it.
  expect(frames.length - aligned.length).toBeLessThanOrEqual(streams.length)
  expect(Math.max(...writes.map(({ length }) => length))).toBeLessThanOrEqual(8 * RECORD_BYTES)
  session.close('the test is over')
})

test('what a stream writes in pieces is one frame, until its record is full or another comes between', async () => {
  const { session, writes } = writing()
  const first = session.open(Buffer.alloc(0))
  const second = session.open(Buffer.alloc(0))
  for (let times = 0; times < 40; times += 1) first.write(Buffer.alloc(1000))
  second.write(Buffer.alloc(10))
  first.write(Buffer.alloc(20))
  await setImmediate()
  await setImmediate()
  const opened = 2 * 8
  const frames = framesOf(writes)
  expect(frames.map(({ length }) => length)).toEqual([
    RECORD_BYTES - opened - 8,
    RECORD_BYTES - 8,
    40_000 - 2 * RECORD_BYTES + opened + 2 * 8,
    10,
    20,
  ])
  session.close('the test is over')
})

test('what is written in one turn of the event loop is one write', async () => {
  const { session, writes } = writing()
  for (let times = 0; times < 20; times += 1) {
    const stream = session.open(Buffer.from('head'))
    stream.write(Buffer.alloc(100))
    stream.end()
  }
  await setImmediate()
  await setImmediate()
  expect(writes).toHaveLength(1)
  session.close('the test is over')
})

test('a chunk is its writer’s again as soon as it is written', async () => {
  const { session, writes } = writing()
  const chunk = Buffer.alloc(50_000)
  const stream = session.open(Buffer.alloc(0))
  for (const fill of [1, 2, 3]) stream.write(chunk.fill(fill))
  chunk.fill(9)
  for (let turns = 0; turns < 10; turns += 1) await setImmediate()
  const received: Buffer[] = []
  const reader = new FrameReader({
    onData: (_id, bytes) => received.push(bytes),
    onMessage: () => {},
    onFrame: () => {},
    stopped: () => false,
  })
  for (const bytes of writes) reader.push(bytes)
  const expected = [1, 2, 3].map((fill) => Buffer.alloc(50_000, fill))
  expect(Buffer.concat(received).equals(Buffer.concat(expected))).toBe(true)
  session.close('the test is over')
})
