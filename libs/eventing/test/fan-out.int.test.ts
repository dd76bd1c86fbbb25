import { type Bus, type BusMessage, connectBus } from '@postern/bus'
import { openOutsider } from '@postern/bus/testing'
import {
  createLeaseClock,
  type EventLog,
  type EventLogClient,
  followLog,
  holdLease,
  type Lease,
  type LogFollower,
  type Paths,
  type Recorded,
} from '@postern/eventing'
import {
  createDatabase,
  createKillableNats,
  type KillableNats,
  startTcpProxy,
} from '@postern/fixtures'
import { createSilentLog } from '@postern/telemetry/testing'
import { sql } from 'kysely'
import pg from 'pg'
import { afterEach, beforeEach, expect, inject, test, vi } from 'vitest'
import { clientOf } from './in-process-client.ts'
import { actor, codec, group, type LedgerDatabase, type LedgerEvent, openLedger } from './ledger.ts'
import { expectWhole, headOf } from './whole-log.ts'

type Ledger = EventLog<LedgerDatabase, LedgerEvent>

const log = createSilentLog()
const closing: (() => Promise<void> | void)[] = []
let nats: KillableNats
let url: string
let bus: Bus
let owner: Ledger

const until = async (condition: () => boolean | Promise<boolean>, timeout = 15_000) =>
  await vi.waitFor(async () => expect(await condition()).toBe(true), { timeout, interval: 10 })

beforeEach(async () => {
  nats = await createKillableNats()
  await nats.start()
  closing.push(async () => await nats.stop())
  url = await createDatabase(inject('postgresUrl'))
  bus = connect()
  await until(() => bus.connected)
  owner = await open()
})
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

function connect(): Bus {
  const connected = connectBus({ url: nats.url, name: 'test', log })
  closing.push(async () => await connected.close())
  return connected
}

async function open(on: Bus = bus): Promise<Ledger> {
  const ledger = await openLedger(url, { bus: on })
  let stopped = false
  closing.push(async () => (stopped ? undefined : await ledger.stop()))
  const stop = ledger.stop.bind(ledger)
  return {
    ...ledger,
    async stop() {
      stopped = true
      await stop()
    },
  }
}

let groups = 0
async function append(count: number, at = owner): Promise<bigint> {
  let last = 0n
  for (let index = 0; index < count; index += 1) {
    groups += 1
    const groupId = `g${groups}`
    const command = { type: 'Create' as const, groupId, name: groupId }
    const stream = `group-${groupId}`
    last = (await at.store.execute({ stream, decider: group, command, actor })).pos
  }
  return last
}

function follow(...paths: EventLogClient[]) {
  const [first = clientOf(owner), ...others] = paths
  const events: Recorded<LedgerEvent>[] = []
  const resets: string[] = []
  const follower = followLog<LedgerEvent>({
    service: 'ledger',
    paths: [first, ...others],
    codec,
    log,
    onEvents: (batch) => void events.push(...batch),
    onReset: (epoch) => {
      resets.push(epoch)
      events.length = 0
    },
  })
  closing.push(() => follower.stop())
  return { follower, events, resets }
}

function hold(paths: Paths<EventLogClient>, follower: LogFollower): Lease {
  const lease = holdLease({
    service: 'ledger',
    paths,
    follower,
    log,
    now: createLeaseClock(),
  })
  closing.push(() => lease.stop())
  return lease
}

async function streamed(count: number): Promise<BusMessage[]> {
  const messages: BusMessage[] = []
  const siem = await openOutsider(nats.url)
  await siem.follow('EVT_LEDGER', (message) => messages.push(message))
  await until(() => messages.length >= count)
  await siem.close()
  return messages
}

const lastSeq = async () =>
  await bus
    .stream('EVT_LEDGER')
    .lastSeq()
    .catch(() => -1n)

test('the stream is the log in the same order with the same numbers, though two publish', async () => {
  const second = await open()
  await owner.start()
  await second.start()
  await append(30)
  await append(30, second)
  const messages = await streamed(60)
  expect(messages.map(({ seq }) => seq)).toEqual(messages.map((_, index) => BigInt(index + 1)))
  expect(messages[0]).toMatchObject({
    subject: expect.stringMatching(/^postern\.evt\.ledger\.group\.GroupCreated\.g\d+$/),
    headers: { pos: '1', ver: '1', actor: actor.by, 'ce-type': expect.stringContaining('Group') },
  })
  await until(async () => (await lastSeq()) === 60n)
})

test('a standby publishes when the process that did is gone', async () => {
  const second = await open()
  await owner.start()
  await append(3)
  await until(async () => (await lastSeq()) === 3n)
  await second.start()
  await owner.stop()
  await append(3, second)
  await until(async () => (await lastSeq()) === 6n)
})

test('a wiped stream is filled again, with what was appended while it was away', async () => {
  await owner.start()
  await append(5)
  await until(async () => (await lastSeq()) === 5n)
  await nats.wipe()
  await append(2)
  await nats.start()
  await until(async () => (await lastSeq()) === 7n)
  const messages = await streamed(7)
  expect(messages.map(({ headers }) => headers['pos'])).toEqual(['1', '2', '3', '4', '5', '6', '7'])
})

test('what PostgreSQL tells nobody of is found all the same', async () => {
  await owner.start()
  await append(1)
  await until(async () => (await lastSeq()) === 1n)
  const isFound = new Promise<void>((resolve) => owner.onAppend(resolve))
  await sql`
    with taken as (update head set pos = pos + 1 returning pos)
    insert into event (pos, id, stream, ver, type, schema_ver, meta, data, at)
    select taken.pos, gen_random_uuid(), 'group-untold', 1, type, schema_ver, meta, data, at
    from event, taken where event.pos = 1`.execute(owner.db)
  await isFound
  await until(async () => (await lastSeq()) === 2n)
})

test('broken database connections are made anew, and everything goes on', async () => {
  await owner.start()
  await append(2)
  await until(async () => (await lastSeq()) === 2n)
  const admin = new pg.Client({ connectionString: url })
  await admin.connect()
  await admin.query(`select pg_terminate_backend(pid) from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid()`)
  await admin.end()
  await until(
    async () =>
      await append(1).then(
        () => true,
        () => false,
      ),
  )
  await until(async () => (await lastSeq()) === (await headOf(owner)))
  expect(await owner.ready()).toBeUndefined()
})

test('a log that was restored to an earlier moment gets a new epoch, and its readers read it anew', async () => {
  await owner.start()
  await append(6)
  await until(async () => (await lastSeq()) === 6n)
  const { follower, events, resets } = follow()
  await until(() => follower.caughtUp)
  const before = follower.position()
  await restoreTo(4n)
  await until(() => follower.position().epoch !== before.epoch)
  await append(1)
  await until(() => follower.position().pos === 5n)
  expect(resets.length).toBeGreaterThan(1)
  expect(events.map(({ pos }) => pos)).toEqual([1n, 2n, 3n, 4n, 5n])
  await until(async () => (await lastSeq()) === 5n)
  await expectWhole(owner)
})

test('a log that was restored while its owner was down, and has grown since, is read anew', async () => {
  await append(6)
  const client = clientOf(owner)
  const { follower, events, resets } = follow(client)
  await until(() => follower.caughtUp)
  const { epoch } = follower.position()
  client.cut = true
  await restoreTo(4n)
  await append(4)
  // The process that served it knows nothing of before.
  const restarted = await open()
  const reader = follow(clientOf(restarted))
  await until(() => reader.follower.caughtUp)
  client.cut = false
  await until(() => follower.position().pos === 8n)
  const ids = (of: typeof events) => of.map(({ id }) => id)
  expect(ids(events)).toEqual(ids(reader.events))
  expect(resets).toEqual([epoch, follower.position().epoch])
})

test('readers follow the owner and need no bus: a commit reaches them while there is none', async () => {
  await nats.kill()
  await append(3)
  await owner.start()
  const { follower, events } = follow()
  await until(() => follower.caughtUp)
  const other = await open()
  for (const at of [owner, other, owner, other]) {
    const pos = await append(1, at)
    await until(() => follower.position().pos === pos)
  }
  expect(events.map(({ pos }) => pos)).toEqual([1n, 2n, 3n, 4n, 5n, 6n, 7n])
})

test('a reader that cannot fold an event begins anew and holds no lease meanwhile', async () => {
  await append(3)
  let fails = true
  let applied = 0
  const follower = followLog<LedgerEvent>({
    service: 'ledger',
    paths: [clientOf(owner)],
    codec,
    log,
    onEvents: (batch) => {
      applied += batch.length
      if (fails) throw new Error('a fault of the reader')
    },
    onReset: () => {
      applied = 0
    },
  })
  closing.push(() => follower.stop())
  await until(() => applied === 3)
  expect(follower.position().epoch).toBe('')
  fails = false
  await until(() => follower.caughtUp)
  expect(applied).toBe(3)
  expect(follower.position().pos).toBe(3n)
})

test('a lease needs no bus, ends when the owner is gone, and comes back', async () => {
  await owner.start()
  await append(2)
  const client = clientOf(owner)
  const { follower } = follow(client)
  const changes: string[] = []
  const lease = hold([client], follower)
  lease.onLost(() => changes.push('lost'))
  lease.onRegained(() => changes.push('regained'))
  await until(() => lease.valid())
  await nats.kill()
  await expectValidFor(lease, 3000)
  client.cut = true
  await until(() => !lease.valid(), 4000)
  await until(() => changes.at(-1) === 'lost', 500)
  client.cut = false
  await until(() => lease.valid())
  expect(changes).toEqual(['regained', 'lost', 'regained'])
}, 30_000)

test('a database that has gone without a word is found again: the lease comes back, and commands work', async () => {
  const { hostname: host, port } = new URL(url)
  const wire = await startTcpProxy({ host, port: Number(port) })
  closing.push(async () => await wire.close())
  const throughWire = new URL(url)
  throughWire.host = wire.address
  const distant = await openLedger(throughWire.href, { bus })
  closing.push(async () => await distant.stop())
  await distant.start()
  await append(1, distant)
  const client = clientOf(distant)
  const { follower } = follow(client)
  const lease = hold([client], follower)
  const changes: string[] = []
  lease.onLost(() => changes.push('lost'))
  lease.onRegained(() => changes.push('regained'))
  await until(() => lease.valid())
  wire.halfOpen()
  await until(() => changes.includes('lost'))
  await until(() => changes.at(-1) === 'regained')
  const works = async () =>
    await append(1, distant).then(
      () => true,
      () => false,
    )
  await until(works, 30_000)
}, 60_000)

test('a lease holds while one path to the owner is broken, whichever it is, and events go on', async () => {
  await owner.start()
  const paths = [clientOf(owner), clientOf(owner)] as const
  const { follower } = follow(...paths)
  const lease = hold(paths, follower)
  await until(() => lease.valid())
  for (const broken of paths) {
    broken.cut = true
    const last = await append(1)
    await until(() => follower.position().pos === last)
    await expectValidFor(lease, 3000)
    broken.cut = false
  }
}, 30_000)

test('commands that queue for a connection cost no lease, and hold up nobody who follows', async () => {
  await owner.start()
  const client = clientOf(owner)
  const { follower } = follow(client)
  const lease = hold([client], follower)
  await until(() => lease.valid())
  const commands = Array.from({ length: 20 }, async () => {
    await sql`select pg_sleep(2)`.execute(owner.db)
  })
  const second = await open()
  const last = await append(1, second)
  await until(() => follower.position().pos === last, 2000)
  await expectValidFor(lease, 4000)
  await Promise.all(commands)
}, 30_000)

test('while the database does not answer there is no lease, though the owner does', async () => {
  await owner.start()
  await append(1)
  const client = clientOf(owner)
  const { follower } = follow(client)
  const lease = hold([client], follower)
  await until(() => lease.valid())
  await owner.db.transaction().execute(async (db) => {
    await sql`lock table head in access exclusive mode`.execute(db)
    await until(() => !lease.valid(), 4000)
  })
  await until(() => lease.valid())
})

test('a reader that hears nothing gets no lease on a log that moved on', async () => {
  await owner.start()
  await append(1)
  const reading = clientOf(owner)
  const { follower } = follow(reading)
  await until(() => follower.caughtUp)
  const lease = hold([clientOf(owner)], follower)
  await until(() => lease.valid())
  reading.cut = true
  await append(1)
  await until(() => !lease.valid(), 4000)
  reading.cut = false
  await until(() => lease.valid())
  expect(follower.position().pos).toBe(await headOf(owner))
})

/** As from a backup of that moment, in place. */
async function restoreTo(pos: bigint): Promise<void> {
  await owner.db.connection().execute(async (db) => {
    await sql`alter table event disable trigger event_is_append_only`.execute(db)
    await sql`delete from event where pos > ${pos}`.execute(db)
    await sql`delete from groups where pos > ${pos}`.execute(db)
    await sql`alter table event enable always trigger event_is_append_only`.execute(db)
    await sql`update head set pos = ${pos}`.execute(db)
    await sql`update checkpoint set pos = ${pos}`.execute(db)
  })
}

async function expectValidFor(lease: { valid(): boolean }, ms: number): Promise<void> {
  let lost = 0
  const end = performance.now() + ms
  await until(() => {
    if (!lease.valid()) lost += 1
    return performance.now() > end
  }, ms + 1000)
  expect(lost).toBe(0)
}
