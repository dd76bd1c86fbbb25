import { connectBus } from '@postern/bus'
import { openEventLog } from '@postern/eventing'
import { createDatabase } from '@postern/fixtures'
import { createSilentLog } from '@postern/telemetry/testing'
import { createNoteSigner, emptyEdge, growEdge, leafHash } from '@postern/tlog'
import { type Kysely, sql } from 'kysely'
import { expect, inject, test } from 'vitest'
import type { AuditDatabase } from '../src/database.ts'
import { readEntries } from '../src/log/bundle-table.ts'
import { ensureLogHead, writeLogHead } from '../src/log/log-head.ts'
import { verifyStoredLog } from '../src/log/log-verification.ts'
import { writeTiles } from '../src/log/tile-table.ts'
import { migrations } from '../src/migrations/index.ts'
import type { ProducerEvent } from '../src/producer/producer.ts'
import { producerCodec } from '../src/producer/producer-codec.ts'
import { producers } from '../src/producer/producers-projection.ts'
import { toLogEntry } from '../src/record/log-entry.ts'
import { rebuildRecords } from '../src/record/rebuild-records.ts'
import { allLeaves, delivery, openAudit, record, spoolOf, testKey } from './audit-fixture.ts'
import { insertRows } from './rows-of-before.ts'

/** Deliveries of before, each written in a moment of its own. Those of g2 have a gap, and what filled a part of it later. */
const DELIVERED = [
  { gateway: 'g1', first: 1, count: 1 },
  { gateway: 'g1', first: 2, count: 1000 },
  { gateway: 'g2', first: 1, count: 40 },
  { gateway: 'g2', first: 61, count: 300 },
  { gateway: 'g1', first: 1002, count: 2 },
  { gateway: 'g2', first: 45, count: 6 },
  { gateway: 'g1', first: 1004, count: 700 },
]
/** It is no event. */
const INVALID = { gateway: 'g2', number: 100 }

const recordOf = (gateway: string, number: number) =>
  gateway === INVALID.gateway && number === INVALID.number
    ? Buffer.from('invalid')
    : record({
        auditID: `${gateway}-${number}`,
        stage: number % 3 ? 'ResponseComplete' : undefined,
      })
const recordsOf = ({ gateway, first, count }: (typeof DELIVERED)[number]) =>
  Array.from({ length: count }, (_, at) => recordOf(gateway, first + at))

/** A log as it was written when each entry was a row of its own. */
async function writeRows(db: Kysely<AuditDatabase>) {
  const signer = createNoteSigner('postern.test/audit', testKey)
  await ensureLogHead(db, signer)
  const entries = DELIVERED.flatMap((each, moment) =>
    recordsOf(each).map((bytes, at) => {
      const number = BigInt(each.first + at)
      const { id: producerId, name: producer } = spoolOf(each.gateway)
      const storedAt = `2026-11-21T09:30:0${moment}.00012${moment}Z`
      return { producerId, number, storedAt, ...toLogEntry({ producer, number, record: bytes }) }
    }),
  ).map((entry, idx) => ({ ...entry, idx }))
  for (const entry of entries) {
    await insertRows(db, entry)
    const { idx, invalidRecord } = entry
    if (invalidRecord === undefined) continue
    await sql`insert into invalid_record values (${idx}, ${Buffer.from(invalidRecord)})`.execute(db)
  }
  const { tiles, root } = growEdge(
    emptyEdge,
    entries.map(({ body }) => leafHash(body)),
  )
  await writeTiles(db, tiles)
  await writeLogHead(db, { size: entries.length, root }, signer)
  return entries
}

test('a log of rows becomes one of bundles: the same entries, times, producers and numbers, under the same checkpoint', async () => {
  const databaseUrl = await createDatabase(inject('postgresUrl'))
  const log = createSilentLog()
  const bus = connectBus({ url: 'nats://127.0.0.1:1', name: 'before', log })
  const before = await openEventLog<AuditDatabase, ProducerEvent>({
    databaseUrl,
    service: 'audit',
    codec: producerCodec,
    projections: [producers],
    migrations: Object.fromEntries(
      Object.entries(migrations).filter(([name]) => name < '0005-terms'),
    ),
    bus,
    log,
    now: () => new Date(),
  })
  const entries = await before.db.transaction().execute(writeRows)
  await before.stop()
  await bus.close()

  const audit = await openAudit(databaseUrl)
  try {
    const { db, reader, sequencer, verifierKey } = audit
    expect((await verifyStoredLog(db, verifierKey)).problems).toEqual([])
    const size = entries.length
    expect(await rebuildRecords(db, { verify: true })).toEqual({ entries: size, different: 0 })
    const bodies = entries.map(({ body }) => Buffer.from(body).toString())
    expect((await allLeaves(audit)).map((leaf) => leaf.toString())).toEqual(bodies)
    const times: string[] = []
    for await (const bundle of readEntries(db, { first: 0, before: size })) {
      times.push(...bundle.map(({ storedAt }) => storedAt))
    }
    expect(times).toEqual(entries.map(({ storedAt }) => storedAt))
    const bundles = await db.selectFrom('entry_bundle').select('first_idx').execute()
    const together = entries.map(({ idx, storedAt }) => `${storedAt} ${idx >> 6}`)
    expect(bundles).toHaveLength(new Set(together).size)

    for (const each of DELIVERED) {
      await sequencer.append(delivery(each.gateway, each.first, recordsOf(each)))
    }
    expect((await reader.head()).size).toBe(size)
    // What is left of the gap, within what is there already.
    const late = { gateway: 'g2', first: 41, count: 20 }
    expect(await sequencer.append(delivery(late.gateway, late.first, recordsOf(late)))).toBe(360n)
    expect((await reader.head()).size).toBe(size + 14)
    const next = { gateway: 'g1', first: 1704, count: 300 }
    expect(await sequencer.append(delivery(next.gateway, next.first, recordsOf(next)))).toBe(2003n)
    expect((await verifyStoredLog(db, verifierKey)).problems).toEqual([])
    expect(await rebuildRecords(db, { verify: true })).toMatchObject({ different: 0 })
  } finally {
    await audit.close()
  }
})
