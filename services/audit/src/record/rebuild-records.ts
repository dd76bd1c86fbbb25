import { type Kysely, sql, type Transaction } from 'kysely'
import type { AuditDatabase } from '../database.ts'
import { readEntries } from '../log/bundle-table.ts'
import { LogDamagedError, lockForWriting } from '../log/log-head.ts'
import { readProducersOf } from '../producer/producer-runs.ts'
import { eventOf } from './audit-event.ts'
import {
  type BlockRecord,
  type IndexedRecord,
  type IndexTables,
  indexRecords,
  indexTables,
} from './record-index.ts'

export type RecordsReport = {
  readonly entries: number
  /** Rows that came out otherwise, or were missing, or too many. */
  readonly different: number
}

/** What is held of a record meanwhile is what searches look at. */
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
 *
 * @throws LogDamagedError where there is nothing that could be folded
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
  let tail: readonly BlockRecord[] = []
  let unfolded: BlockRecord[] = []
  const fold = async () => {
    const records = await withProducers(tx, unfolded)
    tail = await indexRecords(tx, { tail, records }, folded)
    entries += unfolded.length
    unfolded = []
  }
  for await (const bundle of readEntries(tx, { first: 0, before: Number.MAX_SAFE_INTEGER })) {
    for (const { idx, storedAt, body } of bundle) {
      unfolded.push({ idx, storedAt, event: eventOf(body) })
    }
    if (unfolded.length >= BATCH) await fold()
  }
  await fold()
  return entries
}

async function withProducers(
  tx: Transaction<AuditDatabase>,
  records: readonly BlockRecord[],
): Promise<readonly IndexedRecord[]> {
  const [first, last] = [records.at(0), records.at(-1)]
  if (first === undefined || last === undefined) return []
  const producers = await readProducersOf(tx, { first: first.idx, before: last.idx + 1 })
  return records.map((record) => {
    const producerId = producers.get(record.idx)
    if (producerId === undefined) {
      throw new LogDamagedError(`nothing says who delivered entry ${record.idx}`)
    }
    return { ...record, producerId }
  })
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
