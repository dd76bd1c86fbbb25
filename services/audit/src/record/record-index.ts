import { type Kysely, sql } from 'kysely'
import type { AuditDatabase } from '../database.ts'
import { type AuditEvent, toMicroseconds } from './audit-event.ts'
import { blockOf, termsOf } from './record-terms.ts'

export type IndexedRecord = {
  readonly idx: number
  readonly producerId: string
  readonly storedAt: string
  /** `undefined` for an entry that stands for an invalid record. */
  readonly event: AuditEvent | undefined
}

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
 * Folds entries, which follow those folded before, into the tables that searches look at. An intent
 * is open until a later outcome of the same request comes from the same producer: nobody closes
 * another gateway's intent.
 */
export async function indexRecords(
  db: Kysely<AuditDatabase>,
  records: readonly IndexedRecord[],
  tables = indexTables,
): Promise<void> {
  if (records.length === 0) return
  const terms = termsOf(records)
  await sql`
    insert into ${sql.table(tables.terms)} as before (name, value, block, positions)
    select * from unnest(
      ${terms.map(({ name }) => name)}::text[],
      ${terms.map(({ value }) => value)}::text[],
      ${terms.map(({ block }) => block)}::bigint[],
      ${terms.map(({ positions }) => positions)}::bit(256)[]
    )
    on conflict (name, value, block) do update set
      positions = before.positions | excluded.positions`.execute(db)
  const spans = spansOf(records)
  await sql`
    insert into ${sql.table(tables.blocks)} as before (block, received_from, received_to)
    select * from unnest(
      ${spans.map(({ block }) => block)}::bigint[],
      ${spans.map(({ from }) => from)}::timestamptz[],
      ${spans.map(({ to }) => to)}::timestamptz[]
    )
    on conflict (block) do update set
      received_from = least(before.received_from, excluded.received_from),
      received_to = greatest(before.received_to, excluded.received_to)`.execute(db)
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
function spansOf(records: readonly IndexedRecord[]) {
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
