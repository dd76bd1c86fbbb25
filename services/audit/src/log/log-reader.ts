import { rejections } from '@postern/errors'
import { proveConsistency, proveInclusion, type TileId, tileHashReader } from '@postern/tlog'
import type { Kysely } from 'kysely'
import type { AuditDatabase } from '../database.ts'
import { readEntries } from './bundle-table.ts'
import { readLogHead } from './log-head.ts'
import { findTile, tilesOf } from './tile-table.ts'

/** Keeps an answer well under what a gRPC client takes. */
export const ANSWER_BYTES_MAX = 3 * 1024 * 1024

const rejected = rejections({
  TREE_SIZE_OUT_OF_RANGE: ['invalid_argument', 'the log is not that large'],
  INDEX_OUT_OF_RANGE: ['invalid_argument', 'a tree of that size has no entry of that index'],
  TILE_NOT_FOUND: ['not_found', 'the log has no tile that wide there'],
})

export type LogReader = ReturnType<typeof createLogReader>

/** Answers from the log, each from one moment of it. Everything in it only grows. */
export function createLogReader({
  db,
  verifierKey,
}: {
  db: Kysely<AuditDatabase>
  verifierKey: string
}) {
  async function sizeWithin(size: bigint): Promise<number> {
    const head = await readLogHead(db, verifierKey)
    if (size > BigInt(head.size)) throw rejected('TREE_SIZE_OUT_OF_RANGE', { size: head.size })
    return Number(size)
  }

  return {
    head: async () => await readLogHead(db, verifierKey),

    /** Entries from an index on: at least one where there is one, at most the limit and 3 MiB. */
    async leaves(first: bigint, limit: number): Promise<readonly Buffer[]> {
      if (first > BigInt(Number.MAX_SAFE_INTEGER)) return []
      const start = Number(first)
      const leaves: Buffer[] = []
      let bytes = 0
      for await (const entries of readEntries(db, { first: start, before: start + limit })) {
        for (const { body } of entries) {
          bytes += body.length
          if (leaves.length > 0 && bytes > ANSWER_BYTES_MAX) return leaves
          leaves.push(body)
        }
      }
      return leaves
    },

    /** @throws Rejection TREE_SIZE_OUT_OF_RANGE, INDEX_OUT_OF_RANGE */
    async inclusionProof(index: bigint, treeSize: bigint): Promise<readonly Uint8Array[]> {
      const size = await sizeWithin(treeSize)
      if (index >= treeSize) throw rejected('INDEX_OUT_OF_RANGE')
      return await proveInclusion(Number(index), size, tileHashReader(size, tilesOf(db)))
    },

    /** @throws Rejection TREE_SIZE_OUT_OF_RANGE */
    async consistencyProof(oldSize: bigint, newSize: bigint): Promise<readonly Uint8Array[]> {
      const size = await sizeWithin(newSize)
      if (oldSize > newSize) throw rejected('TREE_SIZE_OUT_OF_RANGE')
      return await proveConsistency(Number(oldSize), size, tileHashReader(size, tilesOf(db)))
    },

    /** @throws Rejection TILE_NOT_FOUND */
    async tile(id: TileId): Promise<Buffer> {
      const tile = await findTile(db, id)
      if (tile === undefined) throw rejected('TILE_NOT_FOUND')
      return tile
    },
  }
}
