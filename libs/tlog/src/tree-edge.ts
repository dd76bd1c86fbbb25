import { emptyFrontier, type Frontier, frontierRoot, growFrontier } from './frontier.ts'
import { type Hash, packed, perfectRoot } from './hash.ts'
import { subtreesOf } from './subtree.ts'
import {
  decodeTile,
  edgeTiles,
  TILE_WIDTH,
  type Tile,
  type TileReader,
  tileHashReader,
} from './tile.ts'

/** All that a writer of the log holds in memory: the frontier, and the tiles that are not full. */
export type TreeEdge = {
  readonly frontier: Frontier
  /** By level: the hashes of the last tile that is not full. */
  readonly open: readonly (readonly Hash[])[]
}

export const emptyEdge: TreeEdge = { frontier: emptyFrontier, open: [] }

/** Reads the edge of a tree of this size back from its tiles. */
export async function restoreEdge(size: number, readTiles: TileReader): Promise<TreeEdge> {
  const ids = edgeTiles(size)
  const read = await readTiles(ids)
  const open: (readonly Hash[])[] = []
  for (const [at, id] of ids.entries()) {
    const bytes = read[at]
    if (bytes === undefined) throw new RangeError('an edge tile was not read')
    while (open.length < id.level) open.push([])
    open.push(packed(decodeTile(id, bytes).hashes))
  }
  const readHashes = tileHashReader(size, readTiles)
  const peaks = await readHashes(subtreesOf({ start: 0, end: size }))
  return { frontier: { size, peaks: packed(peaks) }, open }
}

/** Appends leaves: the new edge, and every tile that is new or became wider. */
export function growEdge(
  edge: TreeEdge,
  leafHashes: readonly Hash[],
): { edge: TreeEdge; tiles: readonly Tile[]; root: Hash } {
  const open: (readonly Hash[])[] = []
  const tiles: Tile[] = []
  const peaks: Hash[] = []
  // Those of the levels that are not reached stay.
  const peaksBefore = [...edge.frontier.peaks]
  let row = leafHashes
  for (let level = 0; row.length > 0; level += 1) {
    const before = Math.floor(edge.frontier.size / TILE_WIDTH ** (level + 1))
    const openBefore = edge.open[level] ?? []
    const hashes = [...openBefore, ...row]
    const above: Hash[] = []
    let at = 0
    for (; hashes.length - at >= TILE_WIDTH; at += TILE_WIDTH) {
      const full = hashes.slice(at, at + TILE_WIDTH)
      tiles.push({ level, index: before + above.length, width: TILE_WIDTH, hashes: full })
      above.push(perfectRoot(full))
    }
    const rest = hashes.slice(at)
    if (rest.length > 0) {
      tiles.push({ level, index: before + above.length, width: rest.length, hashes: rest })
    }
    // What is in tiles that are full now is hashed in the level above, and not a second time here.
    const within = peaksBefore.splice(peaksBefore.length - peakCount(openBefore.length))
    const { peaks: grown } =
      above.length === 0
        ? growFrontier({ size: openBefore.length, peaks: within }, row)
        : growFrontier(emptyFrontier, rest)
    peaks.unshift(...grown)
    open.push(packed(rest))
    row = above
  }
  const size = edge.frontier.size + leafHashes.length
  const frontier = { size, peaks: packed([...peaksBefore, ...peaks]) }
  return {
    edge: { frontier, open: [...open, ...edge.open.slice(open.length)] },
    tiles,
    root: frontierRoot(frontier),
  }
}

/** Of how many perfect subtrees a run of hashes is the sum: one for each bit of its length. */
function peakCount(hashes: number): number {
  return hashes.toString(2).replaceAll('0', '').length
}
