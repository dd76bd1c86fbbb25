import { connectBus } from '@postern/bus'
import { openEventLog } from '@postern/eventing'
import { createDatabase } from '@postern/fixtures'
import { sql } from 'kysely'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import type { AuditDatabase } from '../src/database.ts'
import { migrations } from '../src/migrations/index.ts'
import type { ProducerEvent } from '../src/producer/producer.ts'
import { producerCodec } from '../src/producer/producer-codec.ts'
import { producers } from '../src/producer/producers-projection.ts'
import { type AuditEvent, eventOf } from '../src/record/audit-event.ts'
import { rebuildRecords } from '../src/record/rebuild-records.ts'
import { type Audit, openAudit } from './audit-fixture.ts'
import { expected, facts, searchOf, TIMES, toRecord, writeFacts } from './search-facts.ts'

let audit: Audit
let search: ReturnType<typeof searchOf>

beforeAll(async () => {
  audit = await openAudit(await createDatabase(inject('postgresUrl')))
  search = searchOf(audit)
  await writeFacts(audit)
})
afterAll(async () => {
  await audit.close()
})

function parsed(body: Buffer): AuditEvent {
  const event = eventOf(body)
  if (event === undefined) throw new Error('not an event')
  return event
}

test('what searches look at is the fold of the log: folded again it is equal', async () => {
  expect(await rebuildRecords(audit.db, { verify: true })).toEqual({ entries: 400, different: 0 })
  expect(await rebuildRecords(audit.db, { verify: false })).toEqual({ entries: 400, different: 0 })
  expect((await search({})).indexes).toEqual(expected({}))
})

test('a log of before there were blocks is searched as it was', async () => {
  const databaseUrl = await createDatabase(inject('postgresUrl'))
  const before = Object.fromEntries(
    Object.entries(migrations).filter(([name]) => name < '0005-terms'),
  )
  const bus = connectBus({ url: 'nats://127.0.0.1:1', name: 'before', log: audit.log })
  const eventLog = await openEventLog<AuditDatabase, ProducerEvent>({
    databaseUrl,
    service: 'audit',
    codec: producerCodec,
    projections: [producers],
    migrations: before,
    bus,
    log: audit.log,
    now: () => new Date(),
  })
  const entries = facts.slice(0, 300).map((each, idx) => ({ body: toRecord(each), idx }))
  const producer = '01996f5e-0000-8000-8000-000000000001'
  for (const { body, idx } of entries) {
    const { auditId, stage, user, subresource, decision, receivedAt, ...others } = parsed(body)
    const { cluster, namespace, verb, resource } = others
    await sql`insert into entry values (${idx}, ${producer}, ${idx + 1}, ${body}, now())`.execute(
      eventLog.db,
    )
    await sql`insert into record values (${idx}, ${producer}, ${auditId}, ${stage}, ${user},
      ${cluster}, ${namespace}, ${verb}, ${resource}, ${subresource}, ${decision}, ${receivedAt},
      false)`.execute(eventLog.db)
    if (stage === 'RequestReceived') {
      await sql`update record set open = true where idx = ${idx}`.execute(eventLog.db)
    } else if (stage !== 'ResponseStarted') {
      await sql`update record set open = false where audit_id = ${auditId}`.execute(eventLog.db)
    }
  }
  await eventLog.stop()
  await bus.close()
  const now = await openAudit(databaseUrl)
  try {
    expect(await rebuildRecords(now.db, { verify: true })).toEqual({ entries: 300, different: 0 })
  } finally {
    await now.close()
  }
})

test('tables for searches that were altered are seen, kept by a verification and put right by a rebuild', async () => {
  const { db } = audit
  await db
    .updateTable('record_term')
    .set({ value: 'someone else' })
    .where('value', '=', 'lead')
    .where('block', '=', 0)
    .execute()
  await db
    .updateTable('record_block')
    .set({ received_to: TIMES[0] })
    .where('block', '=', 1)
    .execute()
  await db.deleteFrom('open_intent').execute()
  const open = expected({ openOnly: true })
  // A value that is missing and one too many, a block, and every open intent.
  const different = 3 + open.length
  expect(await rebuildRecords(db, { verify: true })).toEqual({ entries: 400, different })
  expect((await search({ user: 'lead', ascending: true })).indexes[0]).toBeGreaterThan(255)
  expect(await rebuildRecords(db, { verify: false })).toEqual({ entries: 400, different })
  expect(await rebuildRecords(db, { verify: true })).toEqual({ entries: 400, different: 0 })
  expect((await search({ user: 'lead' })).indexes).toEqual(expected({ user: 'lead' }))
  expect((await search({ openOnly: true })).indexes).toEqual(open)
})
