import { type Kysely, sql } from 'kysely'
import type { AuditDatabase } from '../database.ts'
import type { AuditEvent } from './audit-event.ts'

export type RecordRow = {
  readonly idx: number
  readonly producerId: string
  readonly storedAt: string
  /** `undefined` for an entry that stands for an invalid record. */
  readonly event: AuditEvent | undefined
}

/**
 * Folds entries, which follow those folded before, into the table that searches look at. An intent
 * is open until a later outcome of the same request comes from the same producer: nobody closes
 * another gateway's intent.
 */
export async function insertRecords(
  db: Kysely<AuditDatabase>,
  rows: readonly RecordRow[],
  table = 'record',
): Promise<void> {
  if (rows.length === 0) return
  const texts = (of: (event: AuditEvent) => string) =>
    toTextArray(rows.map(({ event }) => (event === undefined ? '' : of(event))))
  const into = sql.table(table)
  // The update sees what was there before: intents among these rows are open or not as they come.
  // "offset 0" keeps it a look-up for each outcome: PostgreSQL guesses that hardly an intent is open, and
  // would compare each with every outcome, where gateways that were killed have left ten thousand.
  await sql`
    with fresh as (
      insert into ${into} (idx, producer_id, audit_id, stage, user_name, cluster, namespace, verb,
        resource, subresource, decision, received_at, open)
      select * from unnest(
        ${toTextArray(rows.map(({ idx }) => String(idx)))}::bigint[],
        ${toTextArray(rows.map(({ producerId }) => producerId))}::uuid[],
        ${texts(({ auditId }) => auditId)}::text[],
        ${texts(({ stage }) => stage)}::text[],
        ${texts(({ user }) => user)}::text[],
        ${texts(({ cluster }) => cluster)}::text[],
        ${texts(({ namespace }) => namespace)}::text[],
        ${texts(({ verb }) => verb)}::text[],
        ${texts(({ resource }) => resource)}::text[],
        ${texts(({ subresource }) => subresource)}::text[],
        ${texts(({ decision }) => decision)}::text[],
        ${toTextArray(rows.map(({ event, storedAt }) => event?.receivedAt ?? storedAt))}::timestamptz[],
        ${toTextArray(openAmong(rows).map(String))}::boolean[]
      )
      returning producer_id, audit_id, stage
    )
    update ${into} as intent set open = false
    from fresh as outcome cross join lateral (
      select idx from ${into}
      where open and audit_id = outcome.audit_id and producer_id = outcome.producer_id
      offset 0
    ) as closed
    where outcome.stage in ('ResponseComplete', 'Panic') and intent.idx = closed.idx`.execute(db)
}

/** Which of them are intents whose outcome is not among those behind them. */
function openAmong(rows: readonly RecordRow[]): readonly boolean[] {
  const outcomes = new Set<string>()
  const open: boolean[] = []
  for (const { producerId, event } of rows.toReversed()) {
    const request = `${producerId} ${event?.auditId}`
    open.push(event?.stage === 'RequestReceived' && !outcomes.has(request))
    if (event?.stage === 'ResponseComplete' || event?.stage === 'Panic') outcomes.add(request)
  }
  return open.toReversed()
}

/**
 * As PostgreSQL reads arrays (https://www.postgresql.org/docs/current/arrays.html, 8.15.6). The driver
 * looks through each element for what has to be escaped, which costs more than to send it.
 */
function toTextArray(texts: readonly string[]): string {
  if (!/["\\]/.test(texts.join(''))) return `{"${texts.join('","')}"}`
  return `{${texts.map((text) => `"${text.replaceAll(/["\\]/g, '\\$&')}"`).join(',')}}`
}
