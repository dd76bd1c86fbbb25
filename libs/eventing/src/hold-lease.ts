import { randomUUID } from 'node:crypto'
import type { Bus } from '@postern/bus'
import { messageOf } from '@postern/errors'
import { RenewLeaseRequest, RenewLeaseResponse } from '@postern/proto/postern/eventlog/v1/event_log'
import type { Log } from '@postern/telemetry'
import type { EventLogClient } from './event-log-client.ts'
import type { LogFollower } from './follow-log.ts'
import { isLeaseValid, LEASE_MS, leaseAnswered, leaseAsked, NO_LEASE } from './lease-state.ts'
import { namesOf } from './names.ts'
import { createWaker } from './waker.ts'

export type HoldLeaseOptions = {
  /** Whose log: "policy". */
  readonly service: string
  readonly client: Pick<EventLogClient, 'renewLease'>
  readonly bus: Pick<Bus, 'request'>
  readonly follower: Pick<LogFollower, 'position' | 'pull'>
  readonly log: Log
  /** Milliseconds on a clock that never goes back: `createLeaseClock()`. */
  readonly now: () => number
}

export type Lease = {
  /** Whether the state in memory is known to hold everything that was committed two seconds ago. */
  valid(): boolean
  /** Called within 50 ms. Answers a function that ends it. */
  onLost(listener: () => void): () => void
  onRegained(listener: () => void): () => void
  stop(): void
}

const RENEW_MS = 500
const WATCH_MS = 50
/** When the reader was behind it pulls and asks again at once, but not for ever on one path. */
const AT_ONCE_MAX = 3

type Ask = (request: RenewLeaseRequest) => Promise<RenewLeaseResponse>

/**
 * Proves, again every half second, that the follower has applied everything. Asks on the bus and by gRPC
 * at the same time: either is enough, and neither needs the other.
 */
export function holdLease(options: HoldLeaseOptions): Lease {
  const { service, client, bus, follower, now } = options
  const log = options.log.child({ component: 'lease', follows: service })
  const stopping = new AbortController()
  const lost = createWaker()
  const regained = createWaker()
  let lease = NO_LEASE
  let wasValid = false

  const valid = (): boolean =>
    !stopping.signal.aborted && isLeaseValid(lease, follower.position(), now())

  const watch = (): void => {
    const isValid = valid()
    if (isValid === wasValid) return
    wasValid = isValid
    if (isValid) {
      log.info({}, 'the lease holds')
      regained.wake()
    } else {
      log.warn({}, 'the lease was lost')
      lost.wake()
    }
  }

  const askBus: Ask = async (request) => {
    const data = RenewLeaseRequest.encode(request).finish()
    const answer = await bus.request(namesOf(service).lease, data, { timeoutMs: LEASE_MS })
    return RenewLeaseResponse.decode(answer)
  }
  const askOwner: Ask = async (request) =>
    await client.renewLease(request, {
      deadlineMs: LEASE_MS,
      signal: AbortSignal.any([stopping.signal, AbortSignal.timeout(LEASE_MS)]),
    })

  const renew = async (ask: Ask): Promise<void> => {
    for (let tried = 0; tried < AT_ONCE_MAX && !stopping.signal.aborted; tried += 1) {
      const nonce = randomUUID()
      const { epoch, pos: applied } = follower.position()
      lease = leaseAsked(lease, nonce, now())
      const answer = await ask({ epoch, applied, nonce })
      const answered = leaseAnswered(lease, answer, follower.position(), now())
      lease = answered.lease
      watch()
      if (answered.outcome !== 'behind') return
      await follower.pull()
    }
  }

  const renewAll = (): void => {
    for (const ask of [askBus, askOwner]) {
      renew(ask).catch((error: unknown) => {
        log.debug({ error: messageOf(error) }, 'a lease was not renewed on one path')
      })
    }
  }

  renewAll()
  const renewing = setInterval(renewAll, RENEW_MS)
  const watching = setInterval(watch, WATCH_MS)

  return {
    valid,
    onLost: lost.subscribe,
    onRegained: regained.subscribe,
    stop() {
      stopping.abort()
      clearInterval(renewing)
      clearInterval(watching)
      watch()
    },
  }
}
