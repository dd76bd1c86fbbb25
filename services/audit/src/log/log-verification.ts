import { createHash } from 'node:crypto'
import {
  decodeTile,
  emptyEdge,
  growEdge,
  hashesEqual,
  leafHash,
  TILE_WIDTH,
  tileWidth,
} from '@postern/tlog'
import { type Kysely, sql, type Transaction } from 'kysely'
import type { AuditDatabase } from '../database.ts'
import { LogDamagedError, readLogHead } from './log-head.ts'
import { findTile } from './tile-table.ts'

export type LogVerification = {
  readonly size: number
  /** In words for an operator; empty when all is well. At most 20. */
  readonly problems: readonly string[]
}

const PROBLEMS_MAX = 20
/** Whole tiles, so that entries are compared with leaf hashes tile by tile. */
const BATCH = 4 * TILE_WIDTH

/**
 * Computes the whole tree from the entries, as of one moment, and compares it with every tile and
 * with the signed checkpoint; invalid records are compared with what their entries say of them.
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
  const say = (problem: string) => {
    if (problems.length < PROBLEMS_MAX) problems.push(problem)
  }
  const head = await readLogHead(tx, verifierKey).catch((error: unknown) => {
    if (!(error instanceof LogDamagedError)) throw error
    say(error.message)
    return undefined
  })
  let edge = emptyEdge
  let root: Uint8Array | undefined
  let complete = false
  while (!complete) {
    const first = edge.frontier.size
    const { rows } = await sql<{ idx: string; body: Buffer; invalid: Buffer | null }>`
      select entry.idx::text as idx, entry.body, invalid_record.body as invalid
      from entry left join invalid_record on invalid_record.idx = entry.idx
      where entry.idx >= ${first} order by entry.idx limit ${BATCH}`.execute(tx)
    const hole = rows.findIndex(({ idx }, at) => Number(idx) !== first + at)
    if (hole >= 0) say(`entry ${first + hole} is missing`)
    for (const { idx, body, invalid } of rows) {
      if (invalid !== null && !standsFor(body, invalid)) {
        say(`the invalid record kept for entry ${idx} is not the one that was delivered`)
      }
    }
    const present = hole >= 0 ? rows.slice(0, hole) : rows
    const grown = growEdge(
      edge,
      present.map(({ body }) => leafHash(body)),
    )
    for (const tile of grown.tiles) {
      const width = tileWidth(tile.level, tile.index, grown.edge.frontier.size)
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
    edge = grown.edge
    root = present.length > 0 ? grown.root : root
    complete = present.length < BATCH
  }
  const { size } = edge.frontier
  if (head !== undefined && head.size !== size) {
    say(`the checkpoint is for ${head.size} entries, and ${size} were found`)
  } else if (head !== undefined && root !== undefined && !hashesEqual(head.root, root)) {
    say('the entries are not those that the checkpoint was signed for')
  }
  return { size, problems }
}

function standsFor(body: Buffer, invalid: Buffer): boolean {
  const digest = createHash('sha256').update(invalid).digest('hex')
  return body.includes(`"sha256":"${digest}"`)
}
