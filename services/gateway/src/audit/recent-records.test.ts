import { expect, test } from 'vitest'
import { type Cursor, createRecentRecords } from './recent-records.ts'

const segment = { path: 's', first: 0n, next: 100n, bytes: 0 }
const start = (next: bigint): Cursor => ({ segment, offset: 0, next })

/** Records of so many bytes, numbered from one on. */
function written(count: number, bytes = 10) {
  const recent = createRecentRecords()
  for (let number = 1n; number <= count; number += 1n) {
    const behind = { segment, offset: Number(number) * bytes, next: number + 1n }
    recent.add({ number, bytes: Buffer.alloc(bytes) }, behind)
  }
  return recent
}
const numbers = (run: readonly { number: bigint }[] | undefined) => run?.map(({ number }) => number)
const ANY = { records: 100, bytes: 10_000_000 }

test('what was written last is read in order, up to the limits, and the cursor stands behind it', () => {
  const recent = written(5)
  const cursor = start(1n)
  expect(numbers(recent.take(cursor, { ...ANY, records: 2 }))).toEqual([1n, 2n])
  expect(cursor).toEqual({ segment, offset: 20, next: 3n })
  expect(numbers(recent.take(cursor, { ...ANY, bytes: 25 }))).toEqual([3n, 4n])
  // One record is read whatever its size, or there would be no way on.
  expect(numbers(recent.take(cursor, { ...ANY, bytes: 1 }))).toEqual([5n])
  expect(recent.take(cursor, ANY)).toBeUndefined()
})

test('whoever is behind what is kept reads the disk, and may catch up', () => {
  const recent = written(5, 1200 * 1024)
  // The fourth was too much: what was before it is on the disk alone.
  expect(recent.take(start(1n), ANY)).toBeUndefined()
  expect(recent.take(start(3n), ANY)).toBeUndefined()
  expect(numbers(recent.take(start(4n), ANY))).toEqual([4n, 5n])
})

test('what the disk was read for meanwhile is passed over', () => {
  expect(numbers(written(5).take(start(4n), ANY))).toEqual([4n, 5n])
  expect(written(5).take(start(6n), ANY)).toBeUndefined()
})
