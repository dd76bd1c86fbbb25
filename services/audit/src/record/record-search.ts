import { type Kysely, type SqlBool, sql } from 'kysely'
import type { AuditDatabase } from '../database.ts'
import { readEntriesAt, type StoredEntry } from '../log/bundle-table.ts'
import { eventOf } from './audit-event.ts'
import { type FieldWanted, fieldsWanted, matches, type RecordFilter } from './record-filter.ts'
import { receivedAtOf } from './record-index.ts'
import { BLOCK_ENTRIES, type BlockTerm, blockOf, entriesAt, termsWanted } from './record-terms.ts'

/** A part of the log, read one way. */
export type RecordRange = {
  /** Exclusive. */
  readonly after: bigint
  readonly before: bigint
  readonly ascending: boolean
}

type FoundRecord = { readonly index: number; readonly event: Buffer }

export type RecordPage = {
  readonly records: readonly FoundRecord[]
  /** Whether there are more in the range behind these. */
  readonly more: boolean
}

const BLOCKS_AT_ONCE = 16
/** Looked up at once; they are read bundle by bundle. */
const ENTRIES_AT_ONCE = 256

/**
 * The first matching records in a range: at most `limit`, and at most these many bytes but one. Which
 * entries can match is in the tables; the records themselves say which do.
 *
 * @throws what the signal was aborted with
 */
export async function searchRecords(
  db: Kysely<AuditDatabase>,
  search: {
    filter: RecordFilter
    range: RecordRange
    limit: number
    bytesMax: number
    signal: AbortSignal
  },
): Promise<RecordPage> {
  const { filter, range, limit, bytesMax, signal } = search
  const fields = fieldsWanted(filter)
  const records: FoundRecord[] = []
  let bytes = 0
  for await (const candidates of candidateRuns(db, filter, fields, range)) {
    for await (const entries of readEntriesAt(db, candidates)) {
      signal.throwIfAborted()
      for (const { index, event } of matchesAmong(entries, filter, fields)) {
        bytes += event.length
        const isFull = records.length >= limit || (records.length > 0 && bytes > bytesMax)
        if (isFull) return { records, more: true }
        // Copied, so that no more of its bundle is held than this.
        records.push({ index, event: Buffer.from(event) })
      }
    }
  }
  return { records, more: false }
}

/**
 * In the order of the range, the entries that can match: those of full blocks that have all the values
 * that are looked for, and all that are behind these blocks.
 */
async function* candidateRuns(
  db: Kysely<AuditDatabase>,
  filter: RecordFilter,
  fields: readonly FieldWanted[],
  range: RecordRange,
): AsyncGenerator<readonly number[]> {
  const { ascending } = range
  const [after, before] = [Number(range.after), Number(range.before)]
  // A block that becomes full meanwhile is read entry by entry all the same: each is read one way.
  const behind = await firstBehindBlocks(db)
  const tail = { first: Math.max(after + 1, behind), before }
  if (!ascending) yield* tailRuns(db, filter, { ...tail, ascending })
  let first = blockOf(after + 1)
  let last = blockOf(Math.min(before, behind) - 1)
  for (let isMore = true; isMore; ) {
    const blocks = await candidateBlocks(db, { filter, fields, first, last, ascending })
    const found = blocks.flatMap((block) => {
      const within = entriesAt(block).filter((idx) => idx > after && idx < before)
      return ascending ? within : within.toReversed()
    })
    for (let at = 0; at < found.length; at += ENTRIES_AT_ONCE) {
      yield found.slice(at, at + ENTRIES_AT_ONCE)
    }
    const end = blocks.at(-1)?.block ?? 0
    if (ascending) first = end + 1
    else last = end - 1
    isMore = blocks.length === BLOCKS_AT_ONCE
  }
  if (ascending) yield* tailRuns(db, filter, { ...tail, ascending })
}

async function firstBehindBlocks(db: Kysely<AuditDatabase>): Promise<number> {
  const { rows } = await sql<{ blocks: string }>`
    select (coalesce(max(block), -1) + 1)::text as blocks from record_block`.execute(db)
  return Number(rows[0]?.blocks ?? 0) * BLOCK_ENTRIES
}

/** Behind the last full block: all of them, or those that are open. */
async function* tailRuns(
  db: Kysely<AuditDatabase>,
  { openOnly }: RecordFilter,
  { first, before, ascending }: { first: number; before: number; ascending: boolean },
): AsyncGenerator<readonly number[]> {
  for (let done = 0; done < before - first; done += ENTRIES_AT_ONCE) {
    const count = Math.min(ENTRIES_AT_ONCE, before - first - done)
    const from = ascending ? first + done : before - done - count
    const run = openOnly
      ? await openIntentsAmong(db, { first: from, before: from + count })
      : Array.from({ length: count }, (_, at) => from + at)
    yield ascending ? run : run.toReversed()
  }
}

async function openIntentsAmong(
  db: Kysely<AuditDatabase>,
  { first, before }: { first: number; before: number },
): Promise<readonly number[]> {
  const { rows } = await sql<{ idx: string }>`
    select idx::text as idx from open_intent
    where idx >= ${first} and idx < ${before} order by open_intent.idx`.execute(db)
  return rows.map(({ idx }) => Number(idx))
}

async function candidateBlocks(
  db: Kysely<AuditDatabase>,
  search: {
    filter: RecordFilter
    fields: readonly FieldWanted[]
    first: number
    last: number
    ascending: boolean
  },
) {
  const { filter, fields, first, last, ascending } = search
  const { since, until, openOnly } = filter
  const tables = [sql`record_block`]
  const conditions = [
    sql<SqlBool>`record_block.block >= ${first} and record_block.block <= ${last}`,
  ]
  const bits = sql`bit(${sql.lit(BLOCK_ENTRIES)})`
  let positions = sql`repeat('1', ${sql.lit(BLOCK_ENTRIES)})::${bits}`
  for (const [at, { name, value }] of termsWanted(fields).entries()) {
    const term = sql.ref(`term_${at}`)
    tables.push(sql`record_term as ${term}`)
    conditions.push(
      sql`${term}.name = ${name} and ${term}.value = ${value} and ${term}.block = record_block.block`,
    )
    positions = sql`${positions} & ${term}.positions`
  }
  if (since !== undefined || until !== undefined) {
    conditions.push(sql`tstzrange(received_from, received_to, '[]')
      && tstzrange(${since ?? null}::timestamptz, ${until ?? null}::timestamptz, '[)')`)
  }
  if (openOnly) {
    const within = sql`open_intent where idx / ${sql.lit(BLOCK_ENTRIES)} = record_block.block`
    // Few blocks have any: these are found first.
    conditions.push(sql`exists (select from ${within})`)
    positions = sql`${positions} & (
      select bit_or(set_bit(repeat('0', ${sql.lit(BLOCK_ENTRIES)})::${bits},
        (idx % ${sql.lit(BLOCK_ENTRIES)})::integer, 1)) from ${within})`
  }
  // How bits are sent: their number in four bytes, and they.
  const { rows } = await sql<{ block: string } & Pick<BlockTerm, 'positions'>>`
    select record_block.block::text as block, substr(bit_send(${positions}), 5) as positions
    from ${sql.join(tables)}
    where ${sql.join(conditions, sql` and `)} and bit_count(${positions}) > 0
    order by record_block.block ${sql.raw(ascending ? 'asc' : 'desc')}
    limit ${BLOCKS_AT_ONCE}`.execute(db)
  return rows.map((row) => ({ block: Number(row.block), positions: row.positions }))
}

/** Those of these entries that match, in their order. */
function matchesAmong(
  entries: readonly StoredEntry[],
  filter: RecordFilter,
  fields: readonly FieldWanted[],
): readonly FoundRecord[] {
  return entries.flatMap(({ idx, body, storedAt }) => {
    const event = eventOf(body)
    const receivedAt = receivedAtOf({ event, storedAt })
    return matches({ event, receivedAt }, fields, filter) ? [{ index: idx, event: body }] : []
  })
}
