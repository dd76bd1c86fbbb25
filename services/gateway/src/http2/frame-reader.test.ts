import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Http2Error, PREFACE } from './frame.ts'
import { FrameReader, type FrameSink } from './frame-reader.ts'
import { frame } from './frame-testing.ts'

// oxlint-disable-next-line node/no-process-env -- how long to look, and to repeat a run that failed
const { POSTERN_TEST_FUZZ_RUNS, POSTERN_TEST_FUZZ_SEED } = process.env
const RUNS = Number(POSTERN_TEST_FUZZ_RUNS ?? 2_000)
const SEED = Number(POSTERN_TEST_FUZZ_SEED ?? Date.now() & 0x7fffffff)

/** What a reader reads of bytes that are cut there. */
function read(bytes: Buffer, cuts: readonly number[], budget = { bytesLeft: 1 << 24 }) {
  const heard: unknown[] = []
  const sink: FrameSink = {
    onFields: (id, block, isEnd) => void heard.push(['fields', id, block.toString('hex'), isEnd]),
    onData: (id, data, bytesOfWindow, isEnd) =>
      void heard.push(['data', id, data.toString('hex'), bytesOfWindow, isEnd]),
    onReset: (id) => void heard.push(['reset', id]),
    onSettings: (settings) => void heard.push(['settings', ...settings]),
    onPing: (payload) => void heard.push(['ping', payload.toString('hex')]),
    onWindowUpdate: (id, credit) => void heard.push(['credit', id, credit]),
    onIdleFrame: () => void heard.push('idle'),
    stopped: () => false,
  }
  const reader = new FrameReader(sink, budget)
  const at = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).toSorted((a, b) => a - b)]
  try {
    for (const [turn, from] of at.entries()) reader.push(bytes.subarray(from, at[turn + 1]))
  } catch (error) {
    if (!(error instanceof Http2Error)) throw error
    heard.push(error.code)
  }
  reader.close()
  return { heard, budget }
}

const anyFrame = fc
  .tuple(
    fc.integer({ min: 0, max: 10 }),
    fc.constantFrom(0, 1, 4, 5, 8, 9, 0x2d, 0xff),
    fc.constantFrom(0, 1, 1, 3, 2 ** 31 + 1),
    fc.oneof(
      fc.uint8Array({ maxLength: 12 }),
      fc.constantFrom(4, 5, 6, 8).map((length) => new Uint8Array(length)),
    ),
  )
  .map(([type, flags, id, payload]) => frame(type, flags, id, payload))
const SETTINGS = Buffer.from('000000040000000000', 'hex')
const conversation = fc
  .array(
    fc.oneof(
      anyFrame,
      fc.uint8Array({ maxLength: 20 }).map((some) => Buffer.from(some)),
    ),
    {
      maxLength: 8,
    },
  )
  .map((frames) => Buffer.concat([PREFACE, SETTINGS, ...frames]))

test('however bytes are cut, the same frames are read, or the same is wrong; nothing is held afterwards', () => {
  fc.assert(
    fc.property(conversation, fc.array(fc.nat(), { maxLength: 20 }), (bytes, cuts) => {
      const whole = read(bytes, [])
      const cut = read(bytes, cuts)
      expect(cut.heard).toEqual(whole.heard)
      expect([cut.budget.bytesLeft, whole.budget.bytesLeft]).toEqual([1 << 24, 1 << 24])
    }),
    { seed: SEED, numRuns: RUNS },
  )
})

test('cut at every offset, a conversation is read the same', () => {
  const bytes = Buffer.concat([
    PREFACE,
    Buffer.from('000006040000000000000300000064', 'hex'),
    Buffer.from('000003010800000001', 'hex'),
    Buffer.of(1, 0x82, 0),
    Buffer.from('000001090400000001', 'hex'),
    Buffer.of(0x84),
    Buffer.from('000002000100000001', 'hex'),
    Buffer.from('hi'),
    Buffer.from('0000080600000000000102030405060708', 'hex'),
    Buffer.from('000004080000000000', 'hex'),
    Buffer.from('80000001', 'hex'),
  ])
  const { heard } = read(bytes, [])
  expect(heard).toEqual([
    ['settings', [3, 100]],
    ['fields', 1, '8284', false],
    ['data', 1, '6869', 2, true],
    ['ping', '0102030405060708'],
    ['credit', 0, 1],
  ])
  for (let at = 0; at <= bytes.length; at += 1) expect(read(bytes, [at]).heard).toEqual(heard)
})

test('any bytes are frames or an error of the protocol', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      expect(read(Buffer.from(bytes), []).heard.length).toBeLessThan(20)
    }),
    { seed: SEED, numRuns: RUNS },
  )
})
