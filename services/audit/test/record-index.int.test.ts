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
import { eventOf } from '../src/record/audit-event.ts'
import { rebuildRecords } from '../src/record/rebuild-records.ts'
import { type Audit, delivery, openAudit, records } from './audit-fixture.ts'
import { insertRows } from './rows-of-before.ts'
import { expected, FACTS, facts, searchOf, TIMES, toRecord, writeFacts } from './search-facts.ts'

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

test('what searches look at is the fold of the log: folded again it is equal', async () => {
  expect(await rebuildRecords(audit.db, { verify: true })).toEqual({ entries: FACTS, different: 0 })
  expect(await rebuildRecords(audit.db, { verify: false })).toEqual({
    entries: FACTS,
    different: 0,
  })
  expect((await search({})).indexes).toEqual(expected({}))
})

/** Two full blocks, as they are now, and a quarter of one that was full before. */
const SIZE = 2 * 1024 + 256 + 40

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
  const producerId = '01996f5e-0000-8000-8000-000000000001'
  const storedAt = '2026-11-21T09:30:00.000123Z'
  await eventLog.db.transaction().execute(async (tx) => {
    for (const [idx, each] of facts.slice(0, SIZE).entries()) {
      const body = toRecord(each)
      const number = BigInt(idx + 1)
      const event = eventOf(body)
      await insertRows(tx, { idx, producerId, number, body, storedAt, event })
    }
  })
  const size = { size: SIZE, root: Buffer.alloc(32), checkpoint: '' }
  await eventLog.db.insertInto('log_head').values(size).execute()
  await eventLog.stop()
  await bus.close()
  const now = await openAudit(databaseUrl)
  try {
    expect(await rebuildRecords(now.db, { verify: true })).toEqual({ entries: SIZE, different: 0 })
    const { rows } = await sql<{ blocks: string }>`
      select string_agg(block::text, ' ' order by block) as blocks from record_block`.execute(
      now.db,
    )
    expect(rows).toEqual([{ blocks: '0 1' }])
  } finally {
    await now.close()
  }
})

test('writers that take turns fill blocks together', async () => {
  const databaseUrl = await createDatabase(inject('postgresUrl'))
  const writers = [await openAudit(databaseUrl), await openAudit(databaseUrl)]
  try {
    const counts = [1, 600, 422, 1, 300, 900, 1000, 200]
    for (const [turn, count] of counts.entries()) {
      const gateway = `g${turn}`
      await writers[turn % 2]?.writer.write([delivery(gateway, 1, records(gateway, 1, count))])
    }
    const entries = counts.reduce((sum, count) => sum + count)
    for (const { db } of writers) {
      expect(await rebuildRecords(db, { verify: true })).toEqual({ entries, different: 0 })
    }
  } finally {
    for (const each of writers) await each.close()
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
  expect(await rebuildRecords(db, { verify: true })).toEqual({ entries: FACTS, different })
  expect((await search({ user: 'lead', ascending: true })).indexes[0]).toBeGreaterThan(1023)
  expect(await rebuildRecords(db, { verify: false })).toEqual({ entries: FACTS, different })
  expect(await rebuildRecords(db, { verify: true })).toEqual({ entries: FACTS, different: 0 })
  expect((await search({ user: 'lead' })).indexes).toEqual(expected({ user: 'lead' }))
  expect((await search({ openOnly: true })).indexes).toEqual(open)
})
