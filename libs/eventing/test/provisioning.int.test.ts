import { type EventLog, provisionLogSql } from '@postern/eventing'
import { createDatabase } from '@postern/fixtures'
import { sql } from 'kysely'
import pg from 'pg'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { actor, group, type LedgerDatabase, type LedgerEvent, openLedger } from './ledger.ts'
import { expectWhole } from './whole-log.ts'

const role = `ledger_${process.pid}`
let ledger: EventLog<LedgerDatabase, LedgerEvent>

beforeAll(async () => {
  const adminUrl = await createDatabase(inject('postgresUrl'))
  const admin = new pg.Client({ connectionString: adminUrl })
  await admin.connect()
  await admin.query(`create role ${role} login password 'of-a-test'`)
  const provisioning = provisionLogSql({ service: 'ledger', role })
  await admin.query(provisioning)
  await admin.query(provisioning)
  await admin.end()
  const url = new URL(adminUrl)
  url.username = role
  url.password = 'of-a-test'
  ledger = await openLedger(url.toString())
})
afterAll(async () => {
  await ledger.stop()
})

test('a role that may only insert and select events does all that a service does', async () => {
  const command = { type: 'Create' as const, groupId: 'a', name: 'a' }
  await ledger.store.execute({ stream: 'group-a', decider: group, command, actor })
  await expectWhole(ledger)
  expect(await ledger.ready()).toBeUndefined()
  const { rows } = await sql<{ origin: string }>`select origin from head`.execute(ledger.db)
  expect(rows[0]?.origin).toMatch(/^\d+:[0-9A-F]{8}:\d+$/)
})

test.each([
  ['update event set ver = 9', /permission denied/],
  ['delete from event', /permission denied/],
  ['truncate event', /permission denied/],
  ['alter table event disable trigger event_is_append_only', /must be owner/],
  ['drop trigger event_is_append_only on event', /must be owner/],
  ['drop table event', /must be owner/],
  ['drop schema ledger cascade', /must be owner/],
  ['grant update on event to current_user; update event set ver = 9', /permission denied/],
])('that role cannot get round the log: %s', async (statement, refusal) => {
  await expect(sql.raw(statement).execute(ledger.db)).rejects.toThrow(refusal)
})
