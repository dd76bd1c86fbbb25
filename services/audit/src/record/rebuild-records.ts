import { type Kysely, sql, type Transaction } from 'kysely'
import type { AuditDatabase } from '../database.ts'
import { lockForWriting } from '../log/log-head.ts'
import { eventOf } from './audit-event.ts'
import { type IndexTables, indexRecords, indexTables } from './record-index.ts'

export type RecordsReport = {
  readonly entries: number
  /** Rows that came out otherwise, or were missing, or too many. */
  readonly different: number
}

const BATCH = 1000

const folded: IndexTables = {
  blocks: 'record_block_folded',
  terms: 'record_term_folded',
  openIntents: 'open_intent_folded',
}

const compared = (
  [
    { table: 'blocks', key: sql`block` },
    { table: 'terms', key: sql`name, value, block` },
    { table: 'openIntents', key: sql`idx` },
  ] as const
).map(({ table, key }) => ({
  ours: sql.table(indexTables[table]),
  again: sql.table(folded[table]),
  key,
}))

/**
 * Folds the log again and compares what comes out with the tables that searches look at. Without
 * `verify` they are replaced, and nobody writes meanwhile.
 */
export async function rebuildRecords(
  db: Kysely<AuditDatabase>,
  { verify }: { verify: boolean },
): Promise<RecordsReport> {
  const transaction = db.transaction()
  if (verify) {
    return await transaction.setIsolationLevel('repeatable read').execute(async (tx) => {
      const entries = await foldAgain(tx)
      return { entries, different: await countDifferent(tx) }
    })
  }
  return await transaction.execute(async (tx) => {
    await lockForWriting(tx)
    const entries = await foldAgain(tx)
    const different = await countDifferent(tx)
    await replace(tx)
    return { entries, different }
  })
}

async function foldAgain(tx: Transaction<AuditDatabase>): Promise<number> {
  for (const { ours, again } of compared) {
    await sql`
      create temporary table ${again} (like ${ours} including indexes) on commit drop`.execute(tx)
  }
  let entries = 0
  for (;;) {
    const { rows } = await sql<{
      idx: string
      producer_id: string
      body: Buffer
      stored_at: string
    }>`
      select idx::text as idx, producer_id::text as producer_id, body,
        to_char(stored_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as stored_at
      from entry where idx >= ${entries} order by entry.idx limit ${BATCH}`.execute(tx)
    const records = rows.map((row) => ({
      idx: Number(row.idx),
      producerId: row.producer_id,
      storedAt: row.stored_at,
      event: eventOf(row.body),
    }))
    await indexRecords(tx, records, folded)
    entries += rows.length
    if (rows.length < BATCH) return entries
  }
}

async function countDifferent(tx: Transaction<AuditDatabase>): Promise<number> {
  let different = 0
  for (const { ours, again, key } of compared) {
    const { rows } = await sql<{ different: string }>`
      select count(distinct (${key}))::text as different from (
        (table ${ours} except table ${again}) union all (table ${again} except table ${ours})
      ) as difference`.execute(tx)
    different += Number(rows[0]?.different ?? 0)
  }
  return different
}

async function replace(tx: Transaction<AuditDatabase>): Promise<void> {
  for (const { ours, again } of compared) {
    await sql`truncate table ${ours}`.execute(tx)
    await sql`insert into ${ours} table ${again}`.execute(tx)
  }
}
