import { HASH_BYTES, type Hash, hashAt, perfectRoot } from './hash.ts'
import type { HashReader } from './proof.ts'
import { checkSize, type Subtree } from './subtree.ts'

/** Hashes in a full tile: a subtree of height 8 (C2SP tlog-tiles). */
export const TILE_WIDTH = 256
const TILE_HEIGHT = 8
const LEVEL_MAX = 63

/** A tile: its n-th row at a level, and how many hashes it has; 256 when it is full. */
export type TileId = { readonly level: number; readonly index: number; readonly width: number }

export type Tile = TileId & { readonly hashes: readonly Hash[] }

/** Answers the bytes of tiles, in the order asked for. Wider ones than asked for will do. */
export type TileReader = (tiles: readonly TileId[]) => Promise<readonly Uint8Array[]>

/** The tile as it is served and stored: its hashes, one after the other. */
export function encodeTile({ hashes }: Pick<Tile, 'hashes'>): Buffer {
  return Buffer.concat(hashes)
}

/** @throws RangeError when the bytes are not those of a tile of at least this width */
export function decodeTile(id: TileId, bytes: Uint8Array): Tile {
  if (bytes.length % HASH_BYTES !== 0 || bytes.length < id.width * HASH_BYTES) {
    throw new RangeError(`${tilePath(id)} has ${bytes.length} bytes instead of ${id.width} hashes`)
  }
  const hashes = Array.from({ length: id.width }, (_, at) =>
    bytes.subarray(at * HASH_BYTES, (at + 1) * HASH_BYTES),
  )
  return { ...id, hashes }
}

/** Width of a tile in a tree of this size; 0 when the tree does not reach it. */
export function tileWidth(level: number, index: number, size: number): number {
  const hashes = hashesAtLevel(level, size)
  return Math.max(0, Math.min(TILE_WIDTH, hashes - index * TILE_WIDTH))
}

/** The tiles at the right edge that are not full: what a writer needs to go on. */
export function edgeTiles(size: number): readonly TileId[] {
  const tiles: TileId[] = []
  for (let level = 0; hashesAtLevel(level, size) > 0; level += 1) {
    const hashes = hashesAtLevel(level, size)
    const width = hashes % TILE_WIDTH
    if (width > 0) tiles.push({ level, index: (hashes - width) / TILE_WIDTH, width })
  }
  return tiles
}

/** `tile/<L>/<N>[.p/<W>]`. */
export function tilePath({ level, index, width }: TileId): string {
  if (!Number.isSafeInteger(level) || level < 0 || level > LEVEL_MAX) {
    throw new RangeError('a tile level is 0 to 63')
  }
  return `tile/${level}/${indexPath(index)}${widthPath(width)}`
}

/** `tile/entries/<N>[.p/<W>]`: where the entries under a level 0 tile are served. */
export function entryBundlePath({ index, width }: Pick<TileId, 'index' | 'width'>): string {
  return `tile/entries/${indexPath(index)}${widthPath(width)}`
}

const TILE_PATH = /^tile\/(0|[1-9]\d?)\/((?:x\d{3}\/)*\d{3})(?:\.p\/([1-9]\d{0,2}))?$/

/** The tile that a path names; `undefined` when it is not the one canonical form of a tile's path. */
export function parseTilePath(path: string): TileId | undefined {
  const [, level, digits, partial] = TILE_PATH.exec(path) ?? []
  if (level === undefined || digits === undefined) return undefined
  const index = Number(digits.replaceAll(/[x/]/g, ''))
  const id = { level: Number(level), index, width: Number(partial ?? TILE_WIDTH) }
  if (id.level > LEVEL_MAX || !Number.isSafeInteger(index)) return undefined
  if (id.width > TILE_WIDTH || (partial !== undefined && id.width === TILE_WIDTH)) return undefined
  return tilePath(id) === path ? id : undefined
}

/** Its length is a uint16. */
export const ENTRY_BYTES_MAX = 65_535

/** A bundle of entries: each behind its length as a big-endian uint16. */
export function encodeEntryBundle(entries: readonly Uint8Array[]): Buffer {
  const bundle = Buffer.allocUnsafe(entries.reduce((bytes, { length }) => bytes + 2 + length, 0))
  let at = 0
  for (const entry of entries) {
    if (entry.length > ENTRY_BYTES_MAX) throw new RangeError('an entry has at most 65,535 bytes')
    at = bundle.writeUInt16BE(entry.length, at)
    bundle.set(entry, at)
    at += entry.length
  }
  return bundle
}

/** @throws RangeError when the bytes end within an entry */
export function decodeEntryBundle(bytes: Uint8Array): Buffer[] {
  const bundle = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  const entries: Buffer[] = []
  let at = 0
  while (at < bundle.length) {
    const start = at + 2
    if (start > bundle.length) throw new RangeError('the bundle ends within a length')
    at = start + bundle.readUInt16BE(at)
    if (at > bundle.length) throw new RangeError('the bundle ends within an entry')
    entries.push(bundle.subarray(start, at))
  }
  return entries
}

/** Reads the hashes of perfect subtrees out of the tiles of a tree of this size. */
export function tileHashReader(size: number, readTiles: TileReader): HashReader {
  checkSize(size, 'the tree size')
  return async (subtrees) => {
    const places = subtrees.map((subtree) => placeOf(subtree, size))
    const wanted = new Map(places.map(({ tile }) => [tilePath(tile), tile]))
    const ids = [...wanted.values()]
    const read = await readTiles(ids)
    const tiles = new Map(
      ids.map((id, at) => {
        const bytes = read[at]
        if (bytes === undefined) throw new RangeError(`${tilePath(id)} was not read`)
        return [tilePath(id), decodeTile(id, bytes)]
      }),
    )
    return places.map(({ tile, first, count }) => {
      const { hashes } = tiles.get(tilePath(tile)) ?? { hashes: [] }
      hashAt(hashes, first + count - 1)
      return perfectRoot(hashes.slice(first, first + count))
    })
  }
}

/** Where a subtree's hash is made from: a run of hashes within one tile. */
function placeOf({ level, index }: Subtree, size: number) {
  const tileLevel = Math.floor(level / TILE_HEIGHT)
  const count = 2 ** (level % TILE_HEIGHT)
  const tileIndex = Math.floor((index * count) / TILE_WIDTH)
  const width = tileWidth(tileLevel, tileIndex, size)
  return {
    tile: { level: tileLevel, index: tileIndex, width },
    first: (index * count) % TILE_WIDTH,
    count,
  }
}

function hashesAtLevel(level: number, size: number): number {
  return Math.floor(size / TILE_WIDTH ** level)
}

function indexPath(index: number): string {
  checkSize(index, 'a tile index')
  const digits = String(index)
  const padded = digits.padStart(Math.ceil(digits.length / 3) * 3, '0')
  const groups = padded.match(/\d{3}/g) ?? []
  return groups.map((group, at) => (at < groups.length - 1 ? `x${group}` : group)).join('/')
}

function widthPath(width: number): string {
  if (!Number.isSafeInteger(width) || width < 1 || width > TILE_WIDTH) {
    throw new RangeError('a tile has 1 to 256 hashes')
  }
  return width === TILE_WIDTH ? '' : `.p/${width}`
}
