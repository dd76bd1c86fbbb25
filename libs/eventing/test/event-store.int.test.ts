import type { EventLog, Projection } from '@postern/eventing'
import { fakeEventStore } from '@postern/eventing/testing'
import { createDatabase } from '@postern/fixtures'
import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { eventStoreContract } from './event-store-contract.ts'
import {
  actor,
  codec,
  directory,
  group,
  type LedgerDatabase,
  type LedgerEvent,
  openLedger,
} from './ledger.ts'
import { expectWhole, headOf } from './whole-log.ts'

type Ledger = EventLog<LedgerDatabase, LedgerEvent>

let url: string
let ledger: Ledger

beforeAll(async () => {
  url = await createDatabase(inject('postgresUrl'))
  ledger = await openLedger(url)
})
afterAll(async () => {
  await ledger.stop()
})

const create = async (groupId: string, name = groupId, at = ledger) =>
  await at.store.execute({
    stream: `group-${groupId}`,
    decider: group,
    command: { type: 'Create', groupId, name },
    actor,
  })
const add = async (groupId: string, userIds: readonly string[], at = ledger) =>
  await at.store.execute({
    stream: `group-${groupId}`,
    decider: group,
    command: { type: 'Add', groupId, userIds },
    actor,
  })
test('what a command decided is in the log and in the projections at once', async () => {
  await create('a')
  const { state, pos } = await add('a', ['u1', 'u2'])
  expect(state.members).toEqual(['u1', 'u2'])
  const rows = await ledger.db.selectFrom('members').selectAll().orderBy('pos').execute()
  expect(rows.map(({ user_id, seen }) => [user_id, seen])).toEqual([
    ['u1', 1],
    ['u2', 1],
  ])
  expect(rows.at(-1)?.pos).toBe(pos)
  expect((await ledger.store.load('group-a', group)).version).toBe(3)
})

test('a rejection of the decider leaves no trace', async () => {
  const before = await headOf(ledger)
  await expect(create('a')).rejects.toMatchObject({ reason: 'GROUP_EXISTS' })
  await expect(add('nowhere', ['u1'])).rejects.toMatchObject({ reason: 'GROUP_NOT_FOUND' })
  expect(await headOf(ledger)).toBe(before)
})

test('a constraint of a projection says no in the words of the projection, and leaves no trace', async () => {
  const before = await headOf(ledger)
  await expect(create('b', 'a')).rejects.toMatchObject({
    reason: 'NAME_TAKEN',
    category: 'already_exists',
  })
  expect(await headOf(ledger)).toBe(before)
  await create('b', 'b')
  await expectWhole(ledger)
})

test('a guard that refuses undoes the append', async () => {
  const before = await headOf(ledger)
  const guarded = ledger.store.execute({
    stream: 'group-guarded',
    decider: group,
    command: { type: 'Create', groupId: 'guarded', name: 'guarded' },
    actor,
    guard: async () => await Promise.reject(new Error('refused')),
  })
  await expect(guarded).rejects.toThrow('refused')
  expect(await headOf(ledger)).toBe(before)
})

test('what a guard saw is still true when its command is written, however many race', async () => {
  const racers = Array.from({ length: 24 }, async (_, index) => {
    await ledger.store.execute({
      stream: `group-only-${index}`,
      decider: group,
      command: { type: 'Create', groupId: `only-${index}`, name: `only-${index}` },
      actor,
      guard: async (db) => {
        const taken = await db
          .selectFrom('groups')
          .select('group_id')
          .where('name', 'like', 'only-%')
          .execute()
        if (taken.length > 0) throw new Error('there is one already')
      },
    })
  })
  const outcomes = await Promise.allSettled(racers)
  expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
})

test('a stream of any length is folded whole, also by one who remembers a part of it', async () => {
  const other = await openLedger(url)
  await create('long')
  const users = Array.from({ length: 90 }, (_, index) => `u${index}`)
  for (let at = 0; at < users.length; at += 15) {
    await add('long', users.slice(at, at + 15), at % 2 === 0 ? ledger : other)
    expect((await ledger.store.load('group-long', group)).state.members).toEqual(
      users.slice(0, at + 15),
    )
  }
  expect((await other.store.load('group-long', group)).version).toBe(91)
  await other.stop()
})

describe('the store on PostgreSQL', () => {
  eventStoreContract(() => ledger.store)
})

describe('the fake store', () => {
  const fake = fakeEventStore<LedgerDatabase, LedgerEvent>()
  eventStoreContract(() => fake)
})

describe('the log is append-only', () => {
  test.each([
    'update event set ver = 9',
    'delete from event',
    'delete from event where false',
    'truncate event',
    'truncate event cascade',
    'set session_replication_role = replica; delete from event',
  ])('%s is refused, even to a superuser', async (statement) => {
    const attempt = ledger.db
      .connection()
      .execute(async (db) => await sql.raw(statement).execute(db))
    await expect(attempt).rejects.toThrow(/append-only/)
    await ledger.db.connection().execute(async (db) => await sql.raw('reset all').execute(db))
  })
})

test('16 writers leave no hole, and a reader that pages by position skips nothing', async () => {
  const own = await openLedger(await createDatabase(inject('postgresUrl')))
  try {
    const seen: bigint[] = []
    let isWriting = true
    const reading = (async () => {
      for (let last = false; !last; ) {
        last = !isWriting
        const after = seen.at(-1) ?? 0n
        const { rows } = await sql<{ pos: bigint }>`
          select pos from event where pos > ${after} order by pos limit 50`.execute(own.db)
        seen.push(...rows.map(({ pos }) => pos))
      }
    })()
    await create('shared', 'shared', own)
    const writers = Array.from({ length: 16 }, async (_, writer) => {
      await create(`w${writer}`, `w${writer}`, own)
      for (let index = 0; index < 8; index += 1) {
        // Every third goes to one stream that all want, so that versions conflict as well.
        const target = index % 3 === 0 ? 'shared' : `w${writer}`
        await add(target, [`u${writer}-${index}`], own)
      }
    })
    await Promise.all(writers)
    isWriting = false
    await reading
    expect(seen).toEqual(seen.map((_, index) => BigInt(index + 1)))
    expect(seen).toHaveLength(1 + 16 + 16 * 8)
    await expectWhole(own)
    const shared = await own.store.load('group-shared', group)
    expect(new Set(shared.state.members).size).toBe(16 * 3)
  } finally {
    await own.stop()
  }
}, 60_000)

test('an own log with a type that this version does not know is not decided on', async () => {
  const older = await openLedger(url, { codec: { ...codec, decode: () => undefined } })
  await expect(create('late', 'late', older)).rejects.toThrow(/does not know/)
  await expect(older.store.load('group-a', group)).rejects.toThrow(/run the version that wrote it/)
  await older.stop()
})

describe('projections', () => {
  test('the RPC rebuilds them, one rebuild at a time', async () => {
    const own = await openLedger(await createDatabase(inject('postgresUrl')))
    await create('a', 'a', own)
    const { rebuild } = own.registration.handlers as {
      rebuild: (request: object, context: object) => Promise<object>
    }
    const run = async () => await rebuild({ verify: true }, { call: { actor } })
    const [first, second] = await Promise.allSettled([run(), run()])
    expect(first).toMatchObject({
      status: 'fulfilled',
      value: { pos: 1n, projections: [{ projection: 'directory', events: 1n, equal: true }] },
    })
    expect(second).toMatchObject({ status: 'rejected', reason: { reason: 'REBUILD_RUNNING' } })
    expect(await run()).toMatchObject({ pos: 1n })
    await own.stop()
  })

  test('one of a higher version is rebuilt at start, and an older process then writes nothing', async () => {
    const database = await createDatabase(inject('postgresUrl'))
    const older = await openLedger(database)
    await create('a', 'a', older)
    await add('a', ['u1'], older)
    const newerDirectory: Projection<LedgerDatabase, LedgerEvent> = {
      ...directory,
      version: 2,
      apply: async (db, recorded) => {
        const { event } = recorded
        if (event.type !== 'GroupCreated') return await directory.apply(db, recorded)
        await directory.apply(db, { ...recorded, event: { ...event, name: `v2:${event.name}` } })
      },
    }
    const newer = await openLedger(database, { projections: [newerDirectory] })
    const groups = await newer.db.selectFrom('groups').select('name').execute()
    expect(groups).toEqual([{ name: 'v2:a' }])
    await expect(add('a', ['u2'], older)).rejects.toThrow(/restart with the newest version/)
    await add('a', ['u2'], newer)
    await expectWhole(newer)
    await older.stop()
    await newer.stop()
  })

  test('a table that was changed behind its back is found, and kept until it is replaced', async () => {
    const own = await openLedger(await createDatabase(inject('postgresUrl')))
    await create('a', 'a', own)
    await own.db.updateTable('groups').set({ name: 'forged' }).execute()
    const checked = await own.rebuild({ verify: true })
    expect(checked).toMatchObject({ equal: false, projections: [{ replaced: false, events: 1 }] })
    expect(await own.db.selectFrom('groups').select('name').execute()).toEqual([{ name: 'forged' }])
    expect(await own.rebuild()).toMatchObject({ projections: [{ equal: false, replaced: true }] })
    expect(await own.db.selectFrom('groups').select('name').execute()).toEqual([{ name: 'a' }])
    await expectWhole(own)
    await own.stop()
  })
})
