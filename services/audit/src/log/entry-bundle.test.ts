import { zstdCompressSync } from 'node:zlib'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { cutIntoBundles, packBundle, unpackBundle } from './entry-bundle.ts'

const bodies = fc.array(
  fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
  {
    minLength: 1,
    maxLength: 64,
  },
)

test('entries come back from their bundle', () => {
  fc.assert(
    fc.property(bodies, (entries) => {
      expect(unpackBundle(packBundle(entries), entries.length)).toEqual(entries)
    }),
  )
  const largest = Array.from({ length: 64 }, (_, at) => Buffer.alloc(65_535, at))
  const read = unpackBundle(packBundle(largest), 64)
  expect(Buffer.concat(read).equals(Buffer.concat(largest))).toBe(true)
})

test('whatever a bundle was altered to, it is refused or has as many entries', () => {
  fc.assert(
    fc.property(bodies, fc.nat(), fc.integer({ min: 1, max: 255 }), (all, at, flip) => {
      const bundle = packBundle(all)
      const place = at % bundle.length
      bundle[place] = (bundle[place] ?? 0) ^ flip
      expect(lengthOrRefusal(bundle, all.length)).toBe(all.length)
    }),
  )
})

/** As many as are wanted where the bundle is refused. */
function lengthOrRefusal(bundle: Buffer, wanted: number): number {
  try {
    return unpackBundle(bundle, wanted).length
  } catch (error) {
    if (error instanceof RangeError) return wanted
    throw error
  }
}

test.each([
  { what: 'one of fewer entries', bundle: packBundle([Buffer.of(1)]) },
  { what: 'one of more entries', bundle: packBundle([1, 2, 3].map((value) => Buffer.of(value))) },
  { what: 'one that ends early', bundle: packBundle([Buffer.of(1), Buffer.of(2)]).subarray(0, -1) },
  { what: 'what is not compressed', bundle: Buffer.from([0, 1, 1, 0, 1, 2]) },
  { what: 'nothing', bundle: Buffer.alloc(0) },
  { what: 'what is no bundle', bundle: zstdCompressSync(Buffer.from([0, 5, 1])) },
  {
    what: 'more than two entries can have',
    bundle: zstdCompressSync(Buffer.alloc(2 * 65_537 + 1)),
  },
])('$what is not read as a bundle of two entries', ({ bundle }) => {
  expect(() => unpackBundle(bundle, 2)).toThrow(RangeError)
})

test('entries are cut at each multiple of 64 and nowhere else', () => {
  fc.assert(
    fc.property(fc.nat(100_000), fc.nat(1000), (first, count) => {
      const entries = Array.from({ length: count }, (_, at) => ({ idx: first + at }))
      const bundles = cutIntoBundles(entries)
      expect(bundles.flat()).toEqual(entries)
      const runs = bundles.map((bundle) => new Set(bundle.map(({ idx }) => idx >> 6)))
      expect(runs.every((run) => run.size === 1)).toBe(true)
      expect(new Set(runs.flatMap((run) => [...run])).size).toBe(bundles.length)
    }),
  )
})
