import { generateKeyPairSync } from 'node:crypto'
import { signCheckpoint } from './checkpoint.ts'
import { EMPTY_ROOT, type Hash, leafHash, nodeHash } from './hash.ts'
import { createNoteSigner } from './signed-note.ts'
import { splitPoint } from './subtree.ts'
import { encodeTile, type TileReader, tilePath } from './tile.ts'
import { emptyEdge, growEdge } from './tree-edge.ts'

/** The definitions of RFC 6962, 2.1, to the letter: slow, and the model for everything else. */
export const naive = {
  root(entries: readonly Uint8Array[]): Hash {
    const [first] = entries
    if (first === undefined) return EMPTY_ROOT
    if (entries.length === 1) return leafHash(first)
    const k = splitPoint(entries.length)
    return nodeHash(naive.root(entries.slice(0, k)), naive.root(entries.slice(k)))
  },

  /** PATH(m, D[n]) */
  path(m: number, entries: readonly Uint8Array[]): readonly Hash[] {
    if (entries.length <= 1) return []
    const k = splitPoint(entries.length)
    return m < k
      ? [...naive.path(m, entries.slice(0, k)), naive.root(entries.slice(k))]
      : [...naive.path(m - k, entries.slice(k)), naive.root(entries.slice(0, k))]
  },

  /** SUBPROOF(m, D[n], b); PROOF(m, D[n]) where b is true */
  proof(m: number, entries: readonly Uint8Array[], b = true): readonly Hash[] {
    if (m === entries.length) return b ? [] : [naive.root(entries)]
    const k = splitPoint(entries.length)
    return m <= k
      ? [...naive.proof(m, entries.slice(0, k), b), naive.root(entries.slice(k))]
      : [...naive.proof(m - k, entries.slice(k), false), naive.root(entries.slice(0, k))]
  },
}

/** A whole log in memory, with a key of its own. */
export function createMemoryLog(origin = 'log.test/audit') {
  const signer = createNoteSigner(origin, generateKeyPairSync('ed25519').privateKey)
  const tiles = new Map<string, Uint8Array>()
  const entries: Uint8Array[] = []
  let edge = emptyEdge
  let head = signCheckpoint({ size: 0, root: EMPTY_ROOT }, signer)

  const readTiles: TileReader = async (ids) =>
    ids.map((id) => {
      const tile = tiles.get(tilePath({ ...id, width: 256 }))
      if (tile === undefined) throw new Error(`there is no ${tilePath(id)}`)
      return tile
    })

  return {
    entries,
    readTiles,
    verifierKey: signer.verifierKey,
    /** Answers the new signed checkpoint. */
    append(more: readonly Uint8Array[]): string {
      const grown = growEdge(edge, more.map(leafHash))
      for (const tile of grown.tiles) {
        tiles.set(tilePath({ ...tile, width: 256 }), encodeTile(tile))
      }
      edge = grown.edge
      entries.push(...more)
      head = signCheckpoint({ size: edge.frontier.size, root: grown.root }, signer)
      return head
    },
    checkpoint: () => head,
    edge: () => edge,
  }
}
