import type { EventLog } from '@postern/eventing'
import { VersionConflictError } from '@postern/eventing'
import { createDatabase } from '@postern/fixtures'
import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import type { LedgerEvent } from './ledger.ts'
import { actor, directory, group, type LedgerDatabase, openLedger } from './ledger.ts'

let url: string
let ledger: EventLog<LedgerDatabase, LedgerEvent>

beforeAll(async () => {
  url = await createDatabase(inject('postgresUrl'))
  ledger = await openLedger(url)
})
afterAll(async () => {
  await ledger.stop()
})

const create = async (groupId: string, name = groupId) =>
  await ledger.store.execute({
    stream: `group-${groupId}`,
    decider: group,
    command: { type: 'Create', groupId, name },
    actor,
  })
const add = async (groupId: string, ...userIds: string[]) =>
  await ledger.store.execute({
    stream: `group-${groupId}`,
    decider: group,
    command: { type: 'Add', groupId, userIds },
    actor,
  })

test('an append is in the log and in the projections at once', async () => {
  await create('a')
  const { state, pos } = await add('a', 'u1', 'u2')
  expect(state.members).toEqual(['u1', 'u2'])
  const rows = await ledger.db.selectFrom('members').selectAll().orderBy('pos').execute()
  expect(rows.map(({ user_id, seen }) => [user_id, seen])).toEqual([
    ['u1', 1],
    ['u2', 1],
  ])
  expect(rows.at(-1)?.pos).toBe(pos)
  expect((await ledger.store.load('group-a', group)).version).toBe(3)
})
