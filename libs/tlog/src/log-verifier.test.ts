import fc from 'fast-check'
import { expect, test } from 'vitest'
import { verifyLog } from './log-verifier.ts'
import { createMemoryLog } from './testing.ts'

const numbered = (count: number) =>
  Array.from({ length: count }, (_, at) => Buffer.from(`entry ${at}`))

function* batches(entries: readonly Uint8Array[], size: number) {
  for (let at = 0; at < entries.length; at += size) yield entries.slice(at, at + size)
}

/** A log of 300 entries, remembered when it had 120. */
function grownLog() {
  const log = createMemoryLog()
  const remembered = log.append(numbered(120))
  const checkpoint = log.append(numbered(300).slice(120))
  return { log, remembered, checkpoint, verifierKey: log.verifierKey }
}

test('an honest log verifies, however its entries are batched, and begins with what was remembered', async () => {
  const { log, ...given } = grownLog()
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 400 }), async (size) => {
      const verdict = await verifyLog({ ...given, leaves: batches(log.entries, size) })
      expect(verdict).toEqual({ ok: true, origin: 'log.test/audit', size: 300 })
    }),
  )
})

test('entries that came after the checkpoint are left alone', async () => {
  const { log, ...given } = grownLog()
  log.append([Buffer.from('later')])
  expect(await verifyLog({ ...given, leaves: batches(log.entries, 64) })).toMatchObject({
    ok: true,
  })
})

test('an empty log verifies', async () => {
  const { checkpoint, verifierKey } = createMemoryLog()
  expect(await verifyLog({ checkpoint: checkpoint(), verifierKey, leaves: [] })).toMatchObject({
    ok: true,
    size: 0,
  })
})

test('a flipped bit anywhere in any entry is found', async () => {
  const { log, checkpoint, verifierKey } = grownLog()
  await fc.assert(
    fc.asyncProperty(fc.nat(299), fc.nat(), async (index, change) => {
      const entries = log.entries.map((entry) => Buffer.from(entry))
      const entry = entries[index] ?? Buffer.alloc(0)
      const at = change % entry.length
      entry[at] = (entry[at] ?? 0) ^ (1 << (change % 8))
      const verdict = await verifyLog({ checkpoint, verifierKey, leaves: batches(entries, 50) })
      expect(verdict).toMatchObject({ ok: false, problem: 'ENTRIES_ALTERED' })
    }),
  )
})

test.each([
  { what: 'an entry taken out', alter: (entries: Uint8Array[]) => entries.toSpliced(17, 1) },
  { what: 'the last entries cut off', alter: (entries: Uint8Array[]) => entries.slice(0, 299) },
])('$what is found', async ({ alter }) => {
  const { log, checkpoint, verifierKey } = grownLog()
  const leaves = batches(alter(log.entries), 50)
  expect(await verifyLog({ checkpoint, verifierKey, leaves })).toMatchObject({
    ok: false,
    problem: 'ENTRIES_MISSING',
  })
})

test.each([
  { what: 'two entries changed over', alter: swapped },
  {
    what: 'an entry put in',
    alter: (entries: Uint8Array[]) => entries.toSpliced(9, 0, Buffer.of(1)),
  },
])('$what is found', async ({ alter }) => {
  const { log, checkpoint, verifierKey } = grownLog()
  const leaves = batches(alter(log.entries), 50)
  expect(await verifyLog({ checkpoint, verifierKey, leaves })).toMatchObject({
    ok: false,
    problem: 'ENTRIES_ALTERED',
  })
})

test('a log that was rewritten and signed anew does not match what was remembered', async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 299 }), fc.nat(298), async (known, anyIndex) => {
      const log = createMemoryLog()
      const entries = numbered(300)
      const index = anyIndex % known
      const remembered = log.append(entries.slice(0, known))
      // The holder of the key makes a new history: the same key, other entries.
      const forged = entries.with(index, Buffer.from('never happened'))
      const rewritten = createMemoryLog()
      rewritten.append(forged)
      const verdict = await verifyLog({
        checkpoint: log.append(entries.slice(known)),
        remembered,
        verifierKey: log.verifierKey,
        leaves: batches(forged, 64),
      })
      expect(verdict).toMatchObject({ ok: false, problem: 'HISTORY_REWRITTEN' })
    }),
    { numRuns: 30 },
  )
})

test('a log that became shorter is found', async () => {
  const { log, remembered, checkpoint, verifierKey } = grownLog()
  const verdict = await verifyLog({
    checkpoint: remembered,
    remembered: checkpoint,
    verifierKey,
    leaves: batches(log.entries, 100),
  })
  expect(verdict).toMatchObject({ ok: false, problem: 'LOG_SHRANK' })
})

test('a checkpoint that the log has not signed proves nothing', async () => {
  const { log, remembered, checkpoint, verifierKey } = grownLog()
  const other = createMemoryLog()
  const leaves = () => batches(log.entries, 100)
  const forged = other.append(log.entries)
  expect(await verifyLog({ checkpoint: forged, verifierKey, leaves: leaves() })).toMatchObject({
    problem: 'CHECKPOINT_INVALID',
  })
  expect(
    await verifyLog({ checkpoint, remembered: forged, verifierKey, leaves: leaves() }),
  ).toMatchObject({ problem: 'REMEMBERED_CHECKPOINT_INVALID' })
  expect(
    await verifyLog({ checkpoint, remembered, verifierKey: 'nonsense', leaves: leaves() }),
  ).toMatchObject({ problem: 'CHECKPOINT_INVALID' })
})

function swapped(entries: Uint8Array[]): Uint8Array[] {
  const [first = Buffer.of(), second = Buffer.of(), ...rest] = entries
  return [second, first, ...rest]
}
