import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { IndexedEntry } from '../record/log-entry.ts'
import { createRecentEntries } from './recent-entries.ts'

const BYTES = 100
const BYTES_MAX = 5 * BYTES

const run = (first: number, count: number): IndexedEntry[] =>
  Array.from({ length: count }, (_, at) => ({
    index: first + at,
    body: Buffer.alloc(BYTES),
    event: undefined,
  }))
const indexes = (entries: readonly IndexedEntry[]) => entries.map(({ index }) => index)

test('what was written last is taken once, in order, as much as was wanted', () => {
  const recent = createRecentEntries(BYTES_MAX)
  recent.add(run(7, 2))
  recent.add(run(9, 2))
  expect(indexes(recent.take(7, 3))).toEqual([7, 8, 9])
  expect(indexes(recent.take(10, 3))).toEqual([10])
  expect(recent.take(11, 3)).toEqual([])
  expect(recent.take(7, 3)).toEqual([])
})

test('what stands before it has to be read, and after a hole only what follows is kept', () => {
  const recent = createRecentEntries(BYTES_MAX)
  recent.add(run(7, 2))
  expect(recent.take(6, 3)).toEqual([])
  recent.add(run(12, 2))
  expect(recent.take(9, 3)).toEqual([])
  expect(indexes(recent.take(13, 3))).toEqual([13])
})

test('whatever is written and taken, no entry is skipped, and no more than the bound is kept', () => {
  const steps = fc.array(
    fc.oneof(
      fc.record({ write: fc.integer({ min: 1, max: 4 }), others: fc.integer({ min: 0, max: 2 }) }),
      fc.record({ take: fc.integer({ min: 1, max: 6 }) }),
    ),
  )
  fc.assert(
    fc.property(steps, (wanted) => {
      const recent = createRecentEntries(BYTES_MAX)
      const reached: { readonly took: readonly number[]; readonly from: number }[] = []
      let size = 0
      let next = 0
      for (const step of wanted) {
        if ('write' in step) {
          size += step.others
          recent.add(run(size, step.write))
          size += step.write
        } else {
          const took = indexes(recent.take(next, step.take))
          reached.push({ took, from: next })
          // What is not there is read from the database.
          next = took.length > 0 ? next + took.length : Math.min(size, next + step.take)
        }
      }
      for (const { took, from } of reached) expect(took).toEqual(indexes(run(from, took.length)))
      expect(next).toBeLessThanOrEqual(size)
      expect(recent.take(next, size).length * BYTES).toBeLessThanOrEqual(BYTES_MAX)
    }),
  )
})
