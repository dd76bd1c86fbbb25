import { once } from 'node:events'
import { rejections } from '@postern/errors'
import {
  EventLogServiceDefinition,
  type HoldLeaseRequest,
  type RenewLeaseRequest,
} from '@postern/proto/postern/eventlog/v1/event_log'
import { type RpcRegistration, register } from '@postern/rpc'
import type { Log } from '@postern/telemetry'
import type { Executor } from './database.ts'
import type { HeadWatch } from './head-watch.ts'
import { createLogFeed, STREAM_MS_MAX } from './log-feed.ts'
import { readLog } from './log-table.ts'
import type { RebuildReport } from './rebuild-report.ts'
import { toRecordedEvent } from './wire.ts'
import { withinLease } from './within-lease.ts'

const LIMIT_DEFAULT = 500
const LIMIT_MAX = 1000

/** Stands for what a service keeps beside the projections of its log. */
const OWN_DATA = 'own-data'

const rejected = rejections({
  LIMIT_OUT_OF_RANGE: ['invalid_argument', 'a page of the log has 1 to 1000 events'],
  REBUILD_RUNNING: ['already_exists', 'the projections are being rebuilt already; wait for that'],
})

type LeaseRequest = HoldLeaseRequest | RenewLeaseRequest

/** Serves the log to its readers, and answers their leases. */
export function serveLog(needs: {
  readonly db: Executor
  readonly log: Log
  readonly head: HeadWatch
  /** Calls back when something was appended. */
  readonly onAppend: (listener: () => void) => () => void
  readonly rebuild: (options: { verify: boolean }) => Promise<RebuildReport>
  /** Rebuilds what is no fold of the log; absent where a service has no such thing. */
  readonly rebuildOwn: ((options: { verify: boolean }) => Promise<boolean>) | undefined
}): {
  readonly registration: RpcRegistration
  readonly close: () => void
} {
  const { db, log, head, onAppend } = needs
  let isRebuilding = false
  const feed = createLogFeed({
    readAfter: async (pos) =>
      await head.during(
        async () => await withinLease(readLog(db, pos, LIMIT_DEFAULT)),
        (run) => run.head,
      ),
    headLately: head.lately,
    onAppend,
  })

  const answerLease = async (reader: LeaseRequest) => {
    const { pos, epoch } = await head.now()
    const granted = reader.epoch === epoch && reader.applied === pos
    return { epoch, head: pos, granted, nonce: reader.nonce }
  }

  const registration = register(EventLogServiceDefinition, {
    async readEvents({ after, limit }) {
      if (limit > LIMIT_MAX) throw rejected('LIMIT_OUT_OF_RANGE')
      const run = await readLog(db, after, limit === 0 ? LIMIT_DEFAULT : limit)
      const { pos, epoch } = run.head
      return { epoch, head: pos, events: run.events.map(toRecordedEvent) }
    },
    async *followEvents({ after }, { call }) {
      yield* feed.follow(call.peer.spiffeId, after, call.signal)
    },
    async *holdLease(requests, { call }) {
      yield* answerEach(requests, answerLease, call.signal)
    },
    renewLease: answerLease,
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

/** One after the other, until the reader has no more, the signal aborts or a minute is over. */
async function* answerEach<Request, Response>(
  requests: AsyncIterable<Request>,
  answer: (request: Request) => Promise<Response>,
  signal: AbortSignal,
): AsyncGenerator<Response> {
  const ended = abortOf(AbortSignal.any([signal, AbortSignal.timeout(STREAM_MS_MAX)]))
  const asked = requests[Symbol.asyncIterator]()
  for (;;) {
    const next = await Promise.race([asked.next(), ended])
    if (next === 'aborted' || next.done === true) return
    yield await answer(next.value)
  }
}

async function abortOf(signal: AbortSignal): Promise<'aborted'> {
  if (!signal.aborted) await once(signal, 'abort')
  return 'aborted'
}
