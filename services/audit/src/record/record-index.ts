import { type Kysely, sql } from 'kysely'
import type { AuditDatabase } from '../database.ts'
import { readEntries } from '../log/bundle-table.ts'
import { type AuditEvent, eventOf, toMicroseconds } from './audit-event.ts'
import { BLOCK_ENTRIES, blockOf, termsOf } from './record-terms.ts'

export type IndexedRecord = {
  readonly idx: number
  readonly producerId: string
  readonly storedAt: string
  /** `undefined` for an entry that stands for an invalid record. */
  readonly event: AuditEvent | undefined
}

/** What of a record goes into its block. */
export type BlockRecord = Omit<IndexedRecord, 'producerId'>

/** The tables that searches look at, under their names or where they are folded again. */
export type IndexTables = {
  readonly blocks: string
  readonly terms: string
  readonly openIntents: string
}

export const indexTables: IndexTables = {
  blocks: 'record_block',
  terms: 'record_term',
  openIntents: 'open_intent',
}

/**
 * Folds entries, which follow those folded before, into the tables that searches look at. A block is
 * written once, when it is full.
 *
 * @param tail those before them that are in no full block
 * @returns those of all of them that are in no full block
 */
export async function indexRecords(
  db: Kysely<AuditDatabase>,
  { tail, records }: { tail: readonly BlockRecord[]; records: readonly IndexedRecord[] },
  tables = indexTables,
): Promise<readonly BlockRecord[]> {
  await foldIntents(db, records, tables)
  const unfolded = [
    ...tail,
    ...records.map(({ idx, storedAt, event }) => ({ idx, storedAt, event })),
  ]
  const behind = (unfolded.at(-1)?.idx ?? -1) + 1
  const rest = unfolded.findIndex(({ idx }) => blockOf(idx) === blockOf(behind))
  const full = rest < 0 ? unfolded : unfolded.slice(0, rest)
  if (full.length > 0) await insertBlocks(db, full, tables)
  return unfolded.slice(full.length)
}

/** The entries of a log of this size that are in no full block. */
export async function readTail(
  db: Kysely<AuditDatabase>,
  size: number,
): Promise<readonly BlockRecord[]> {
  const tail: BlockRecord[] = []
  const first = blockOf(size) * BLOCK_ENTRIES
  for await (const bundle of readEntries(db, { first, before: size })) {
    for (const { idx, storedAt, body } of bundle) tail.push({ idx, storedAt, event: eventOf(body) })
  }
  return tail
}

async function insertBlocks(
  db: Kysely<AuditDatabase>,
  records: readonly BlockRecord[],
  tables: IndexTables,
): Promise<void> {
  const terms = termsOf(records)
  // Bits in one run of bytes: as texts of an array most of the work would be to read them.
  const positions = Buffer.concat(terms.map((term) => term.positions))
  const each = sql.lit(BLOCK_ENTRIES / 8)
  await sql`
    insert into ${sql.table(tables.terms)} (name, value, block, positions)
    select name, value, block, ('x' || encode(
      substr(${positions}::bytea, (at - 1)::integer * ${each} + 1, ${each}), 'hex'
    ))::bit(${sql.lit(BLOCK_ENTRIES)})
    from unnest(
      ${terms.map(({ name }) => name)}::text[],
      ${terms.map(({ value }) => value)}::text[],
      ${terms.map(({ block }) => block)}::bigint[]
    ) with ordinality as term (name, value, block, at)`.execute(db)
  const spans = spansOf(records)
  await sql`
    insert into ${sql.table(tables.blocks)} (block, received_from, received_to)
    select * from unnest(
      ${spans.map(({ block }) => block)}::bigint[],
      ${spans.map(({ from }) => from)}::timestamptz[],
      ${spans.map(({ to }) => to)}::timestamptz[]
    )`.execute(db)
}

/**
 * An intent is open until a later outcome of the same request comes from the same producer: nobody
 * closes another gateway's intent.
 */
async function foldIntents(
  db: Kysely<AuditDatabase>,
  records: readonly IndexedRecord[],
  tables: IndexTables,
): Promise<void> {
  const { closed, open } = intentsAmong(records)
  for (const [producerId, auditIds] of closed) {
    await sql`
      delete from ${sql.table(tables.openIntents)}
      where producer_id = ${producerId} and audit_id = any(${auditIds}::text[])`.execute(db)
  }
  if (open.length === 0) return
  await sql`
    insert into ${sql.table(tables.openIntents)} (idx, producer_id, audit_id)
    select * from unnest(
      ${open.map(({ idx }) => idx)}::bigint[],
      ${open.map(({ producerId }) => producerId)}::uuid[],
      ${open.map(({ auditId }) => auditId)}::text[]
    )`.execute(db)
}

/** When a record was received; that of an entry that stands for an invalid one is when it was stored. */
export function receivedAtOf({
  event,
  storedAt,
}: Pick<IndexedRecord, 'event' | 'storedAt'>): string {
  return event?.receivedAt ?? toMicroseconds(storedAt) ?? storedAt
}

/** From when to when the records of each block are. */
function spansOf(records: readonly BlockRecord[]) {
  const spans: { readonly block: number; from: string; to: string }[] = []
  for (const record of records) {
    const at = receivedAtOf(record)
    const span = spans.at(-1)
    if (span?.block !== blockOf(record.idx)) {
      spans.push({ block: blockOf(record.idx), from: at, to: at })
    } else if (at < span.from) span.from = at
    else if (at > span.to) span.to = at
  }
  return spans
}

/** What the records close of the intents before them, by producer, and which they leave open. */
function intentsAmong(records: readonly IndexedRecord[]) {
  const closed = new Map<string, Set<string>>()
  const open: { idx: number; producerId: string; auditId: string }[] = []
  for (const { idx, producerId, event } of records.toReversed()) {
    if (event === undefined) continue
    const { stage, auditId } = event
    const outcomes = closed.get(producerId) ?? new Set<string>()
    if (stage === 'ResponseComplete' || stage === 'Panic') {
      closed.set(producerId, outcomes.add(auditId))
    } else if (stage === 'RequestReceived' && !outcomes.has(auditId)) {
      open.push({ idx, producerId, auditId })
    }
  }
  return { closed: [...closed].map(([id, auditIds]) => [id, [...auditIds]] as const), open }
}
