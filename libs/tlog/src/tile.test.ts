import fc from 'fast-check'
import { expect, test } from 'vitest'
import { leafHash } from './hash.ts'
import {
  decodeEntryBundle,
  decodeTile,
  edgeTiles,
  encodeEntryBundle,
  encodeTile,
  entryBundlePath,
  parseTilePath,
  tileHashReader,
  tilePath,
  tileWidth,
} from './tile.ts'

test.each([
  { id: { level: 0, index: 0, width: 256 }, path: 'tile/0/000' },
  { id: { level: 3, index: 1_234_067, width: 256 }, path: 'tile/3/x001/x234/067' },
  { id: { level: 63, index: 999, width: 1 }, path: 'tile/63/999.p/1' },
  { id: { level: 1, index: 1000, width: 255 }, path: 'tile/1/x001/000.p/255' },
])('tile $id is at $path', ({ id, path }) => {
  expect(tilePath(id)).toBe(path)
  expect(parseTilePath(path)).toEqual(id)
})

test.each([
  'tile/00/000',
  'tile/64/000',
  'tile/-1/000',
  'tile/0/0',
  'tile/0/x000/000',
  'tile/0/001/000',
  'tile/0/x001/x000',
  'tile/0/000.p/0',
  'tile/0/000.p/256',
  'tile/0/000.p/01',
  'tile/0/000.p/999',
  'tile/0/000/',
  'tile/0/x999/x999/x999/x999/x999/999',
  '/tile/0/000',
  'tile/entries/000',
])('%s is not the path of a tile', (path) => {
  expect(parseTilePath(path)).toBeUndefined()
})

test('every tile has one path, and only that one names it', () => {
  fc.assert(
    fc.property(
      fc.record({
        level: fc.nat(63),
        index: fc.maxSafeNat(),
        width: fc.integer({ min: 1, max: 256 }),
      }),
      (id) => {
        expect(parseTilePath(tilePath(id))).toEqual(id)
      },
    ),
  )
  fc.assert(
    fc.property(fc.stringMatching(/^tile\/\d{1,3}\/[x0-9/]{1,12}(\.p\/\d{1,4})?$/), (path) => {
      const id = parseTilePath(path)
      expect(id === undefined ? path : tilePath(id)).toBe(path)
    }),
  )
})

test('a tree of 70,000 has the tiles of the example in C2SP tlog-tiles', () => {
  expect(edgeTiles(70_000)).toEqual([
    { level: 0, index: 273, width: 112 },
    { level: 1, index: 1, width: 17 },
    { level: 2, index: 0, width: 1 },
  ])
  expect(edgeTiles(256)).toEqual([{ level: 1, index: 0, width: 1 }])
  expect(edgeTiles(0)).toEqual([])
  expect(tileWidth(0, 272, 70_000)).toBe(256)
  expect(tileWidth(0, 274, 70_000)).toBe(0)
  expect(entryBundlePath({ index: 273, width: 112 })).toBe('tile/entries/273.p/112')
})

test('a tile comes back from its bytes, also as the beginning of a wider one', () => {
  const hashes = [1, 2, 3].map((value) => leafHash(Buffer.of(value)))
  const bytes = encodeTile({ hashes })
  expect(decodeTile({ level: 0, index: 0, width: 3 }, bytes).hashes).toEqual(hashes)
  expect(decodeTile({ level: 0, index: 0, width: 2 }, bytes).hashes).toEqual(hashes.slice(0, 2))
  expect(() => decodeTile({ level: 0, index: 0, width: 4 }, bytes)).toThrow(RangeError)
  expect(() => decodeTile({ level: 0, index: 0, width: 2 }, bytes.subarray(1))).toThrow(RangeError)
})

test('a tile that was not read, or has too few hashes, gives no hash', async () => {
  const wanted = [{ level: 0, index: 1 }]
  await expect(tileHashReader(2, async () => [])(wanted)).rejects.toThrow(RangeError)
  const short = tileHashReader(2, async () => [Buffer.alloc(32)])
  await expect(short(wanted)).rejects.toThrow(RangeError)
  const outside = tileHashReader(2, async () => [Buffer.alloc(64)])
  await expect(outside([{ level: 0, index: 2 }])).rejects.toThrow(RangeError)
})

test('entries come back from their bundle, and no broken bundle is read', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 300 })), (entries) => {
      const decoded = decodeEntryBundle(encodeEntryBundle(entries))
      expect(decoded.map((entry) => [...entry])).toEqual(entries.map((entry) => [...entry]))
    }),
  )
  const bundle = encodeEntryBundle([Buffer.from('abc')])
  expect(() => decodeEntryBundle(bundle.subarray(0, 1))).toThrow(RangeError)
  expect(() => decodeEntryBundle(bundle.subarray(0, 4))).toThrow(RangeError)
  expect(() => encodeEntryBundle([Buffer.alloc(65_536)])).toThrow(RangeError)
})
