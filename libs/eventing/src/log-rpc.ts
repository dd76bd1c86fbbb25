import { rejections } from '@postern/errors'
import { EventLogServiceDefinition } from '@postern/proto/postern/eventlog/v1/event_log'
import { type RpcRegistration, register } from '@postern/rpc'
import type { Log } from '@postern/telemetry'
import type { Executor } from './database.ts'
import { createHeadWatch } from './head-watch.ts'
import { LEASE_MS } from './lease-state.ts'
import { createLogFeed } from './log-feed.ts'
import { type Head, readHead, readLog } from './log-table.ts'
import type { RebuildReport } from './rebuild-report.ts'
import { shareReads } from './share-reads.ts'
import { toRecordedEvent } from './wire.ts'

const LIMIT_DEFAULT = 500
const LIMIT_MAX = 1000

/** Stands for what a service keeps beside the projections of its log. */
const OWN_DATA = 'own-data'

const rejected = rejections({
  LIMIT_OUT_OF_RANGE: ['invalid_argument', 'a page of the log has 1 to 1000 events'],
  REBUILD_RUNNING: ['already_exists', 'the projections are being rebuilt already; wait for that'],
})

/** Serves the log to its readers, and answers their leases. */
export function serveLog(needs: {
  readonly db: Executor
  readonly log: Log
  /** Calls back when something was appended. */
  readonly onAppend: (listener: () => void) => () => void
  readonly rebuild: (options: { verify: boolean }) => Promise<RebuildReport>
  /** Rebuilds what is no fold of the log; absent where a service has no such thing. */
  readonly rebuildOwn: ((options: { verify: boolean }) => Promise<boolean>) | undefined
}): {
  readonly registration: RpcRegistration
  readonly close: () => void
} {
  const { db, log, onAppend } = needs
  let isRebuilding = false
  const watchHead = createHeadWatch({ db, log })
  // Never remembered: a head that is older than the request could hide a revocation.
  const freshHead = shareReads(
    async () =>
      await watchHead(
        async () => await withinLease(readHead(db)),
        (head) => head,
      ),
  )
  const feed = createLogFeed({
    readAfter: async (pos) =>
      await watchHead(
        async () => await withinLease(readLog(db, pos, LIMIT_DEFAULT)),
        ({ head }) => head,
      ),
    onAppend,
  })

  const registration = register(EventLogServiceDefinition, {
    async readEvents({ after, limit }) {
      if (limit > LIMIT_MAX) throw rejected('LIMIT_OUT_OF_RANGE')
      const { head, events } = await readLog(db, after, limit === 0 ? LIMIT_DEFAULT : limit)
      return { epoch: head.epoch, head: head.pos, events: events.map(toRecordedEvent) }
    },
    async *followEvents({ after }, { call }) {
      yield* feed.follow(call.peer.spiffeId, after, call.signal)
    },
    async renewLease(request) {
      const { pos: head, epoch } = await freshHead()
      const granted = isUpToDate(request, { pos: head, epoch })
      return { epoch, head, granted, nonce: request.nonce }
    },
    async rebuild({ verify }, { call }) {
      if (isRebuilding) throw rejected('REBUILD_RUNNING')
      isRebuilding = true
      log.info({ actor: call.actor.by, verify }, 'projections are rebuilt')
      try {
        return await rebuildAll(verify)
      } finally {
        isRebuilding = false
      }
    },
  })

  const rebuildAll = async (verify: boolean) => {
    const { pos, projections } = await needs.rebuild({ verify })
    const rebuilt = projections.map(({ projection, events, equal }) => ({
      projection,
      events: BigInt(events),
      equal,
    }))
    if (needs.rebuildOwn === undefined) return { pos, projections: rebuilt }
    const own = { projection: OWN_DATA, events: 0n, equal: await needs.rebuildOwn({ verify }) }
    return { pos, projections: [...rebuilt, own] }
  }

  return { registration, close: feed.close }
}

/** One connection that hangs must not hold up those who ask later. */
async function withinLease<Value>(reading: Promise<Value>): Promise<Value> {
  let timer: NodeJS.Timeout | undefined
  const tooLate = new Promise<never>((_, reject) => {
    const message = 'PostgreSQL did not answer within the time of a lease'
    timer = setTimeout(() => reject(new Error(message)), LEASE_MS)
  })
  try {
    return await Promise.race([reading, tooLate])
  } finally {
    clearTimeout(timer)
  }
}

function isUpToDate(reader: { epoch: string; applied: bigint }, head: Head): boolean {
  return reader.epoch === head.epoch && reader.applied === head.pos
}
