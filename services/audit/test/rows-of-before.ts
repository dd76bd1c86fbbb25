import { type Kysely, sql } from 'kysely'
import type { AuditDatabase } from '../src/database.ts'
import type { AuditEvent } from '../src/record/audit-event.ts'

/** An entry as it was stored when each was a row of its own, and what searches looked at another. */
export async function insertRows(
  db: Kysely<AuditDatabase>,
  entry: {
    idx: number
    producerId: string
    number: bigint
    body: Uint8Array
    storedAt: string
    event: AuditEvent | undefined
  },
): Promise<void> {
  const { idx, producerId, number, body, storedAt, event } = entry
  await sql`insert into entry (idx, producer_id, number, body, stored_at) values
    (${idx}, ${producerId}, ${number}, ${Buffer.from(body)}, ${storedAt})`.execute(db)
  const { auditId = '', stage = '', user = '', cluster = '', namespace = '' } = event ?? {}
  const { verb = '', resource = '', subresource = '', decision = '' } = event ?? {}
  const isIntent = stage === 'RequestReceived'
  await sql`insert into record values (${idx}, ${producerId}, ${auditId}, ${stage}, ${user},
    ${cluster}, ${namespace}, ${verb}, ${resource}, ${subresource}, ${decision},
    ${event?.receivedAt ?? storedAt}, ${isIntent})`.execute(db)
  if (stage !== 'ResponseComplete' && stage !== 'Panic') return
  await sql`update record set open = false
    where producer_id = ${producerId} and audit_id = ${auditId}`.execute(db)
}
