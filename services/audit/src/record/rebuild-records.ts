import { type Kysely, sql, type Transaction } from 'kysely'
import type { AuditDatabase } from '../database.ts'
import { lockForWriting } from '../log/log-head.ts'
import { eventOf } from './audit-event.ts'
import { insertRecords } from './record-rows.ts'

export type RecordsReport = {
  readonly entries: number
  /** Rows that came out otherwise, or were missing, or too many. */
  readonly different: number
}

const FOLDED = 'record_folded'
const BATCH = 1000
const COMPARED = 5000

/**
 * Folds the log again and compares what comes out with the table that searches look at. Without
 * `verify` the table is replaced, and nobody writes meanwhile.
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
    await replace(tx, entries)
    return { entries, different }
  })
}

async function foldAgain(tx: Transaction<AuditDatabase>): Promise<number> {
  await sql`create temporary table ${sql.table(FOLDED)} (like record) on commit drop`.execute(tx)
  await sql`create index on ${sql.table(FOLDED)} (audit_id)`.execute(tx)
  await sql`create index on ${sql.table(FOLDED)} (idx)`.execute(tx)
  let folded = 0
  for (;;) {
    const { rows } = await sql<{
      idx: string
      producer_id: string
      body: Buffer
      stored_at: string
    }>`
      select idx::text as idx, producer_id::text as producer_id, body,
        to_char(stored_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as stored_at
      from entry where idx >= ${folded} order by entry.idx limit ${BATCH}`.execute(tx)
    const records = rows.map((row) => ({
      idx: Number(row.idx),
      producerId: row.producer_id,
      storedAt: row.stored_at,
      event: eventOf(row.body),
    }))
    await insertRecords(tx, records, FOLDED)
    folded += rows.length
    if (rows.length < BATCH) return folded
  }
}

async function countDifferent(tx: Transaction<AuditDatabase>): Promise<number> {
  const folded = sql.table(FOLDED)
  const { rows } = await sql<{ end: string }>`
    select greatest((select max(idx) from record), (select max(idx) from ${folded}), -1)::text as end
  `.execute(tx)
  const end = Number(rows[0]?.end ?? -1)
  let different = 0
  for (let from = 0; from <= end; from += COMPARED) {
    const until = from + COMPARED
    const { rows: counted } = await sql<{ different: string }>`
      select count(distinct idx)::text as different from (
        (select * from record where idx >= ${from} and idx < ${until}
          except select * from ${folded} where idx >= ${from} and idx < ${until})
        union all
        (select * from ${folded} where idx >= ${from} and idx < ${until}
          except select * from record where idx >= ${from} and idx < ${until})
      ) as difference`.execute(tx)
    different += Number(counted[0]?.different ?? 0)
  }
  return different
}

async function replace(tx: Transaction<AuditDatabase>, entries: number): Promise<void> {
  await sql`truncate table record`.execute(tx)
  for (let from = 0; from < entries; from += COMPARED) {
    await sql`
      insert into record select * from ${sql.table(FOLDED)}
      where idx >= ${from} and idx < ${from + COMPARED}`.execute(tx)
  }
}
