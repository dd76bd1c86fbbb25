import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createRecentItems } from './recent-items.ts'

const BYTES = 100
const BYTES_MAX = 5 * BYTES

/** Items of 100 bytes that know their number. */
function numbered(...runs: readonly (readonly [first: number, count: number])[]) {
  const recent = createRecentItems<number>({ bytesOf: () => BYTES, bytesMax: BYTES_MAX })
  for (const run of runs) for (const number of numbers(...run)) recent.add(number, number)
  return recent
}
const numbers = (first: number, count: number) => Array.from({ length: count }, (_, n) => first + n)

test('what was written last is taken once, in order, as much as was wanted', () => {
  const recent = numbered([7, 4])
  expect(recent.take(7, { items: 3 })).toEqual([7, 8, 9])
  expect(recent.take(10, { items: 3 })).toEqual([10])
  expect(recent.take(11, { items: 3 })).toEqual([])
  expect(recent.take(7, { items: 3 })).toEqual([])
})

test('no more bytes are taken than were wanted, but for a single item', () => {
  const recent = numbered([1, 5])
  expect(recent.take(1, { items: 5, bytes: 2.5 * BYTES })).toEqual([1, 2])
  expect(recent.take(3, { items: 5, bytes: 1 })).toEqual([3])
})

test('what stands before it has to be read, and whoever has read it goes on behind', () => {
  const recent = numbered([1, 5])
  expect(recent.take(0, { items: 3 })).toEqual([])
  expect(recent.take(4, { items: 3 })).toEqual([4, 5])
})

test('after a hole, and behind what was too much to keep, only what follows is kept', () => {
  const behindHole = numbered([7, 2], [12, 2])
  expect(behindHole.take(8, { items: 3 })).toEqual([])
  expect(behindHole.take(13, { items: 3 })).toEqual([13])
  const behindTooMuch = numbered([1, 7])
  expect(behindTooMuch.take(5, { items: 3 })).toEqual([])
  expect(behindTooMuch.take(6, { items: 3 })).toEqual([6, 7])
})

test('whatever is written and taken, no item is skipped, and no more than the bound is kept', () => {
  const steps = fc.array(
    fc.oneof(
      fc.record({ write: fc.integer({ min: 1, max: 4 }), others: fc.integer({ min: 0, max: 2 }) }),
      fc.record({ take: fc.integer({ min: 1, max: 6 }) }),
    ),
  )
  fc.assert(
    fc.property(steps, (wanted) => {
      const recent = numbered()
      const taken: { readonly took: readonly number[]; readonly from: number }[] = []
      let size = 0
      let next = 0
      for (const step of wanted) {
        if ('write' in step) {
          size += step.others
          for (const number of numbers(size, step.write)) recent.add(number, number)
          size += step.write
        } else {
          const took = recent.take(next, { items: step.take })
          taken.push({ took, from: next })
          // What is not there is read from where it was written.
          next = took.length > 0 ? next + took.length : Math.min(size, next + step.take)
        }
      }
      for (const { took, from } of taken) expect(took).toEqual(numbers(from, took.length))
      expect(next).toBeLessThanOrEqual(size)
      expect(recent.take(next, { items: size }).length * BYTES).toBeLessThanOrEqual(BYTES_MAX)
    }),
  )
})
