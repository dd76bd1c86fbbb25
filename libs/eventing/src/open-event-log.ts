import { messageOf } from '@postern/errors'
import { openDatabase, openForReaders, openMaintenance } from './database.ts'
import type { DomainEvent } from './decider.ts'
import { adoptOrigin, changeEpoch } from './epoch.ts'
import type { EventLog, EventLogOptions } from './event-log.ts'
import { createHeadWatch } from './head-watch.ts'
import { createLeadership } from './leadership.ts'
import { serveLog } from './log-rpc.ts'
import { readHead } from './log-table.ts'
import { namesOf } from './names.ts'
import { pause } from './pause.ts'
import { createPgEventStore } from './pg-event-store.ts'
import { prepareLog } from './prepare-log.ts'
import { publishLog } from './publisher.ts'
import { rebuildProjections } from './rebuild.ts'
import { createProcessManager } from './run-process-manager.ts'
import { createSignals } from './signals.ts'
import { everyTick } from './ticks.ts'
import { createWaker } from './waker.ts'
import { withinLease } from './within-lease.ts'

const READY_MS_MAX = 2000
/** What PostgreSQL told nobody is found by then. */
const LOOK_MS = 1000

/**
 * Migrates, brings the projections to the head, and answers a log that can be used at once.
 *
 * @throws Error when PostgreSQL cannot be reached for half a minute, or a migration fails
 */
export async function openEventLog<Database, Event extends DomainEvent>(
  options: EventLogOptions<Database, Event>,
): Promise<EventLog<Database, Event>> {
  const { service, codec, projections, bus, now, databaseUrl } = options
  const log = options.log.child({ component: 'eventing' })
  const names = namesOf(service)
  const signals = createSignals(service, options.metrics)
  const connection = { databaseUrl, service, log }
  await prepareLog<Database, Event>({ ...options, log })

  const db = openDatabase<Database>(connection)
  const forReaders = openForReaders<Database>(connection)
  const appended = createWaker()
  const onAppend = appended.subscribe
  const head = createHeadWatch({
    readHead: async () => await withinLease(readHead(forReaders)),
    changeEpoch: async (from) => await changeEpoch(forReaders, from),
    onMoved: appended.wake,
    log,
  })
  const look = (): void => void head.lately().catch(() => undefined)
  let endLooking = (): void => undefined
  const leadership = createLeadership({
    ...connection,
    channel: names.channel,
    notified: appended.wake,
    // A failover breaks the connection, and may have lost the last commits.
    connected: async () => await adoptOrigin(db, log),
  })
  const rebuild = async ({ verify }: { verify: boolean }) => {
    const maintenance = openMaintenance<Database>(connection)
    try {
      return await rebuildProjections(maintenance, { projections, codec }, { verify })
    } finally {
      await maintenance.destroy()
    }
  }
  const { rebuildOwn } = options
  const served = serveLog({
    db: forReaders,
    log,
    head,
    onAppend,
    rebuild,
    rebuildOwn: rebuildOwn && (async (wanted) => await rebuildOwn(db, wanted)),
  })

  leadership.add({
    name: 'publisher',
    run: async (signal) => await publishLog({ db, service, bus, log, onAppend, signals }, signal),
  })

  return {
    db,
    store: createPgEventStore<Database, Event>({
      db,
      codec,
      projections,
      now,
      channel: names.channel,
      committed: (appendedTo) => {
        signals.appended.inc()
        signals.head.set(Number(appendedTo.pos))
        // Those who follow need not wait for what PostgreSQL tells every process.
        head.know(appendedTo)
      },
      conflicted: () => signals.conflicts.inc(),
    }),
    registration: served.registration,
    head: head.lately,
    onAppend,
    processManager(wanted) {
      const { manager, run } = createProcessManager(
        { db, service, codec, log, onAppend, signals },
        wanted,
      )
      if (wanted.effectsOff !== true)
        leadership.add({ name: `process-manager:${wanted.name}`, run })
      return manager
    },
    async start() {
      leadership.start()
      endLooking = everyTick(LOOK_MS, look)
    },
    async stop() {
      endLooking()
      served.close()
      await leadership.stop()
      await forReaders.destroy()
      await db.destroy()
    },
    rebuild: async ({ verify = false } = {}) => await rebuild({ verify }),
    async ready() {
      const late = new AbortController()
      try {
        return await Promise.race([
          readHead(db).then(() => undefined),
          pause(READY_MS_MAX, late.signal).then(() => 'PostgreSQL does not answer in time'),
        ])
      } catch (error) {
        return `PostgreSQL cannot be used: ${messageOf(error)}`
      } finally {
        late.abort()
      }
    },
  }
}
