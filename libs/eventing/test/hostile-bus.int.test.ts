import { connectBus } from '@postern/bus'
import { type Outsider, openOutsider } from '@postern/bus/testing'
import { createLeaseClock, type EventLog, followLog, holdLease } from '@postern/eventing'
import { createDatabase, createKillableNats, type KillableNats } from '@postern/fixtures'
import { createSilentLog } from '@postern/telemetry/testing'
import { sql } from 'kysely'
import { afterEach, beforeEach, expect, inject, test, vi } from 'vitest'
import { clientOf } from './in-process-client.ts'
import { actor, codec, group, type LedgerDatabase, type LedgerEvent, openLedger } from './ledger.ts'
import { expectWhole } from './whole-log.ts'

const log = createSilentLog()
const closing: (() => Promise<void> | void)[] = []
let nats: KillableNats
let owner: EventLog<LedgerDatabase, LedgerEvent>
let attacker: Outsider

const until = async (condition: () => boolean | Promise<boolean>) =>
  await vi.waitFor(async () => expect(await condition()).toBe(true), {
    timeout: 60_000,
    interval: 10,
  })

beforeEach(async () => {
  nats = await createKillableNats()
  await nats.start()
  closing.push(async () => await nats.stop())
  const bus = connectBus({ url: nats.url, name: 'owner', log })
  closing.push(async () => await bus.close())
  await until(() => bus.connected)
  owner = await openLedger(await createDatabase(inject('postgresUrl')), { bus })
  closing.push(async () => await owner.stop())
  attacker = await openOutsider(nats.url)
  closing.push(async () => await attacker.close())
})
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

async function create(groupId: string): Promise<bigint> {
  const command = { type: 'Create' as const, groupId, name: groupId }
  const stream = `group-${groupId}`
  return (await owner.store.execute({ stream, decider: group, command, actor })).pos
}

const epochOf = async () =>
  (await sql<{ epoch: string }>`select epoch from head`.execute(owner.db)).rows[0]?.epoch ?? ''

/** Everything right about it, but that the owner never committed it. */
async function forge(pos: bigint, epoch: string): Promise<void> {
  const forged = { type: 'GroupCreated' as const, groupId: 'forged', name: 'forged' }
  const { type, data, schemaVer } = codec.encode({ ...forged, platformRole: 2 })
  await attacker.publish({
    subject: 'postern.evt.ledger.group.GroupCreated.forged',
    data,
    headers: {
      'ce-id': crypto.randomUUID(),
      'ce-type': type,
      'ce-time': new Date().toISOString(),
      'ce-source': 'postern/ledger',
      pos: String(pos),
      epoch,
      ver: '1',
      stream: 'group-forged',
      schemaver: String(schemaVer),
      actor: actor.by,
      cause: actor.cause,
    },
  })
}

const copied = async (): Promise<string[]> => {
  const ids: string[] = []
  const siem = await openOutsider(nats.url)
  await siem.follow('EVT_LEDGER', ({ headers }) => ids.push(headers['ce-id'] ?? ''))
  const { rows } = await sql<{ id: string }>`select id from event`.execute(owner.db)
  await vi
    .waitFor(() => expect(ids.length).toBeGreaterThanOrEqual(rows.length), 5000)
    .catch(() => {})
  await siem.close()
  return ids
}

test.each([
  { name: 'puts an event in the next place', wipes: false, at: (head: bigint) => head + 1n },
  { name: 'puts many events ahead of the log', wipes: false, at: (head: bigint) => head + 100n },
  { name: 'fills a stream of his own', wipes: true, at: () => 1n },
])(
  'an attacker who $name changes no state, no epoch and no lease, and the copy mends',
  async ({ wipes, at }) => {
    const handled: string[] = []
    owner.processManager({
      name: 'effects',
      handle: async ({ event }) => void handled.push(event.groupId),
    })
    await owner.start()
    for (const name of ['a', 'b', 'c']) await create(name)
    const groups: string[] = []
    const client = clientOf(owner)
    const follower = followLog<LedgerEvent>({
      service: 'ledger',
      paths: [client],
      codec,
      log,
      onReset: () => {
        groups.length = 0
      },
      onEvents: (events) => void groups.push(...events.map(({ event }) => event.groupId)),
    })
    closing.push(() => follower.stop())
    const lease = holdLease({
      service: 'ledger',
      paths: [client],
      follower,
      log,
      now: createLeaseClock(),
    })
    closing.push(() => lease.stop())
    let leasesLost = 0
    await until(() => lease.valid())
    lease.onLost(() => {
      leasesLost += 1
    })
    const epoch = await epochOf()
    await until(async () => (await copied()).length === 3)

    for (let round = 0; round < 4; round += 1) {
      const head = follower.position().pos
      if (wipes) await attacker.deleteStream('EVT_LEDGER').catch(() => undefined)
      for (let n = 0n; n < 5n; n += 1n) await forge(at(head) + n, epoch)
      const pos = await create(`true-${round}`)
      await until(() => follower.position().pos === pos)
    }
    const truth = ['a', 'b', 'c', 'true-0', 'true-1', 'true-2', 'true-3']
    expect(groups).toEqual(truth)
    await until(() => handled.length === truth.length)
    expect(handled).toEqual(truth)
    expect(await epochOf()).toBe(epoch)
    expect(leasesLost).toBe(0)
    await sql`delete from checkpoint where name like 'process-manager:%'`.execute(owner.db)
    await expectWhole(owner)
    const { rows } = await sql<{ id: string }>`select id from event order by pos`.execute(owner.db)
    await until(async () => (await copied()).join() === rows.map(({ id }) => id).join())
  },
  120_000,
)
