import {
  decodeTile,
  EMPTY_ROOT,
  emptyEdge,
  growEdge,
  type Hash,
  hashesEqual,
  leafHash,
  TILE_WIDTH,
  type Tile,
  tileWidth,
} from '@postern/tlog'
import { type Kysely, sql, type Transaction } from 'kysely'
import type { AuditDatabase } from '../database.ts'
import { problemsOfRuns } from '../producer/producer-runs.ts'
import { readEntries, readEntriesAt } from './bundle-table.ts'
import { LogDamagedError, readLogHead } from './log-head.ts'
import { findTile } from './tile-table.ts'

export type LogVerification = {
  readonly size: number
  /** In words for an operator; empty when all is well. At most 20. */
  readonly problems: readonly string[]
}

const PROBLEMS_MAX = 20
/** In whole tiles, so that entries are compared with leaf hashes tile by tile. */
const BATCH = 4 * TILE_WIDTH
const everything = { first: 0, before: Number.MAX_SAFE_INTEGER }

/**
 * Computes the whole tree from the entries, as of one moment, and compares it with every tile and
 * with the signed checkpoint; invalid records are compared with what their entries say of them, and each
 * entry must have been delivered once. What is held is a bundle, and the hashes of a thousand entries.
 */
export async function verifyStoredLog(
  db: Kysely<AuditDatabase>,
  verifierKey: string,
): Promise<LogVerification> {
  return await db
    .transaction()
    .setIsolationLevel('repeatable read')
    .setAccessMode('read only')
    .execute(async (tx) => await verifyWithin(tx, verifierKey))
}

async function verifyWithin(
  tx: Transaction<AuditDatabase>,
  verifierKey: string,
): Promise<LogVerification> {
  const problems: string[] = []
  const say: Say = (problem) => {
    if (problems.length < PROBLEMS_MAX) problems.push(problem)
  }
  const head = await readLogHead(tx, verifierKey).catch((error: unknown) => {
    if (!(error instanceof LogDamagedError)) throw error
    say(error.message)
    return undefined
  })
  const found = await verifyEntries(tx, say)
  if (head !== undefined && head.size !== found.size) {
    say(`the checkpoint is for ${head.size} entries, and ${found.size} were found`)
  } else if (head !== undefined && !hashesEqual(head.root, found.root)) {
    say('the entries are not those that the checkpoint was signed for')
  }
  for await (const problem of problemsOfRuns(tx, head?.size ?? found.size)) say(problem)
  await verifyInvalidRecords(tx, found.size, say)
  return { size: found.size, problems }
}

type Say = (problem: string) => void

/** The tree of all entries up to the first that is missing or cannot be read. */
async function verifyEntries(tx: Transaction<AuditDatabase>, say: Say) {
  let edge = emptyEdge
  let root: Uint8Array = EMPTY_ROOT
  let leaves: Hash[] = []
  const grow = async () => {
    const grown = growEdge(edge, leaves)
    await verifyTiles(tx, grown.tiles, grown.edge.frontier.size, say)
    edge = grown.edge
    root = grown.root
    leaves = []
  }
  try {
    for await (const entries of readEntries(tx, everything)) {
      const expected = edge.frontier.size + leaves.length
      const first = entries[0]?.idx ?? expected
      if (first < expected) say(`entry ${first} is there twice`)
      if (first > expected) say(`entry ${expected} is missing`)
      if (first !== expected) break
      leaves.push(...entries.map(({ body }) => leafHash(body)))
      if (leaves.length >= BATCH && (first + entries.length) % TILE_WIDTH === 0) await grow()
    }
  } catch (error) {
    if (!(error instanceof LogDamagedError)) throw error
    say(error.message)
  }
  if (leaves.length > 0) await grow()
  return { size: edge.frontier.size, root }
}

async function verifyTiles(
  tx: Transaction<AuditDatabase>,
  tiles: readonly Tile[],
  size: number,
  say: Say,
): Promise<void> {
  for (const tile of tiles) {
    const width = tileWidth(tile.level, tile.index, size)
    const bytes = await findTile(tx, { ...tile, width })
    if (bytes === undefined) {
      say(`tile ${tile.index} of level ${tile.level} is missing or too short`)
      continue
    }
    const stored = decodeTile({ ...tile, width }, bytes).hashes
    const wrong = tile.hashes.findIndex((hash, at) => !hashesEqual(hash, stored[at] ?? hash))
    if (wrong < 0) continue
    const at = tile.index * TILE_WIDTH + wrong
    say(
      tile.level === 0
        ? `entry ${at} is not what was logged`
        : `hash ${at} of level ${tile.level} is not what follows from the entries`,
    )
  }
}

/** Whether what is kept of invalid records is what the entries that stand for them say. */
async function verifyInvalidRecords(
  tx: Transaction<AuditDatabase>,
  size: number,
  say: Say,
): Promise<void> {
  for (let from = 0; ; ) {
    const { rows } = await sql<{ idx: string; digest: string }>`
      select idx::text as idx, encode(sha256(body), 'hex') as digest from invalid_record
      where idx >= ${from} order by invalid_record.idx limit ${TILE_WIDTH}`.execute(tx)
    const digests = new Map(rows.map(({ idx, digest }) => [Number(idx), digest]))
    const indexes = [...digests.keys()]
    for (const idx of indexes.filter((idx) => idx >= size)) {
      say(`an invalid record is kept for entry ${idx}, which was not found`)
    }
    const found = indexes.filter((idx) => idx < size)
    for await (const entries of readEntriesAt(tx, found)) {
      for (const { idx, body } of entries) {
        if (body.includes(`"sha256":"${digests.get(idx)}"`)) continue
        say(`the invalid record kept for entry ${idx} is not the one that was delivered`)
      }
    }
    if (rows.length < TILE_WIDTH) return
    from = (indexes.at(-1) ?? 0) + 1
  }
}
