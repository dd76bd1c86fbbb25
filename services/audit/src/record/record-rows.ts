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
    rows.map(({ event }) => (event === undefined ? '' : of(event)))
  const into = sql.table(table)
  await sql`
    insert into ${into} (idx, producer_id, audit_id, stage, user_name, cluster, namespace, verb,
      resource, subresource, decision, received_at, open)
    select * from unnest(
      ${rows.map(({ idx }) => idx)}::bigint[],
      ${rows.map(({ producerId }) => producerId)}::uuid[],
      ${texts(({ auditId }) => auditId)}::text[],
      ${texts(({ stage }) => stage)}::text[],
      ${texts(({ user }) => user)}::text[],
      ${texts(({ cluster }) => cluster)}::text[],
      ${texts(({ namespace }) => namespace)}::text[],
      ${texts(({ verb }) => verb)}::text[],
      ${texts(({ resource }) => resource)}::text[],
      ${texts(({ subresource }) => subresource)}::text[],
      ${texts(({ decision }) => decision)}::text[],
      ${rows.map(({ event, storedAt }) => event?.receivedAt ?? storedAt)}::timestamptz[],
      ${rows.map(({ event }) => event?.stage === 'RequestReceived')}::boolean[]
    )`.execute(db)

  const outcomes = rows.flatMap(({ idx, producerId, event }) =>
    event?.stage === 'ResponseComplete' || event?.stage === 'Panic'
      ? [{ idx, producerId, auditId: event.auditId }]
      : [],
  )
  if (outcomes.length === 0) return
  await sql`
    update ${into} as intent set open = false
    from unnest(
      ${outcomes.map(({ idx }) => idx)}::bigint[],
      ${outcomes.map(({ producerId }) => producerId)}::uuid[],
      ${outcomes.map(({ auditId }) => auditId)}::text[]
    ) as outcome (idx, producer_id, audit_id)
    where intent.open and intent.audit_id = outcome.audit_id
      and intent.producer_id = outcome.producer_id and intent.idx < outcome.idx`.execute(db)
}
