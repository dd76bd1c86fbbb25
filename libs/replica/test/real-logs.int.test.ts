import { connectBus } from '@postern/bus'
import { type DomainEvent, type EventCodec, type EventLog, openEventLog } from '@postern/eventing'
import { createDatabase, startNats } from '@postern/fixtures'
import { createReplica, identityCodec, policyCodec, tunnelBrokerCodec } from '@postern/replica'
import type { EventOf } from '@postern/replica/testing'
import type { RpcClients } from '@postern/rpc'
import { createSilentLog } from '@postern/telemetry/testing'
import { inject, test, vi } from 'vitest'

const log = createSilentLog()
const now = () => new Date()
const actor = { by: 'system', cause: 'test' }

/** A log whose commands are the events that they append. */
async function openPlainLog<Event extends DomainEvent>(
  service: keyof EventOf,
  codec: EventCodec<Event>,
  bus: ReturnType<typeof connectBus>,
) {
  const eventLog: EventLog<Record<never, never>, Event> = await openEventLog({
    databaseUrl: await createDatabase(inject('postgresUrl')),
    service,
    codec,
    projections: [],
    migrations: {},
    bus,
    log,
    now,
  })
  await eventLog.start()
  const append = async (event: Event) =>
    await eventLog.store.execute<object, Event, Event>({
      stream: 'any-stream',
      decider: { initial: {}, decide: (command) => [command], evolve: (state) => state },
      command: event,
      actor,
    })
  return { eventLog, append }
}

test('a revocation arrives over the bus, and without the bus all the same', async () => {
  const nats = await startNats()
  const bus = connectBus({ url: nats.url, name: 'replica-test', log })
  const identity = await openPlainLog<EventOf['identity']>('identity', identityCodec, bus)
  const policy = await openPlainLog<EventOf['policy']>('policy', policyCodec, bus)
  const broker = await openPlainLog<EventOf['tunnel-broker']>(
    'tunnel-broker',
    tunnelBrokerCodec,
    bus,
  )
  const owners = { identity, policy, 'tunnel-broker': broker }
  const clients = {
    of: (_: unknown, service: keyof EventOf) => owners[service].eventLog.registration.handlers,
    close: () => undefined,
  } as unknown as RpcClients
  const replica = createReplica({ clients, bus, log, now, leases: true })
  await using _ = {
    async [Symbol.asyncDispose]() {
      await replica.stop()
      await Promise.all(Object.values(owners).map(async ({ eventLog }) => await eventLog.stop()))
      await bus.close()
      await nats.stop()
    },
  }
  const roleOf = (n: number): EventOf['policy'] => ({
    type: 'RoleCreated',
    roleId: `r${n}`,
    name: `r${n}`,
    description: '',
    rules: [],
  })
  await policy.append(roleOf(0))
  replica.start()
  await replica.ready(AbortSignal.timeout(10_000))
  await vi.waitUntil(() => replica.leaseValid() && bus.connected, { timeout: 10_000, interval: 5 })

  const deleted = async (n: number) => {
    await policy.append(roleOf(n))
    await vi.waitUntil(() => replica.snapshot().roles.has(`r${n}`), { timeout: 5000, interval: 1 })
    await policy.append({ type: 'RoleDeleted', roleId: `r${n}` })
    await vi.waitUntil(() => !replica.snapshot().roles.has(`r${n}`), { timeout: 5000, interval: 1 })
  }
  for (let n = 1; n < 12; n++) await deleted(n)

  await nats.stop()
  await deleted(20)
  await vi.waitUntil(() => replica.leaseValid(), { timeout: 5000, interval: 5 })
}, 60_000)
