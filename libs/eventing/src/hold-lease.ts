import { randomUUID } from 'node:crypto'
import { messageOf } from '@postern/errors'
import type { Log } from '@postern/telemetry'
import type { Paths } from './event-log-client.ts'
import type { LogFollower } from './follow-log.ts'
import { type AskOwner, askByStream, type LeaseClient } from './lease-questions.ts'
import { isLeaseValid, LEASE_MS, leaseAnswered, leaseAsked, NO_LEASE } from './lease-state.ts'
import { everyTick } from './ticks.ts'
import { createWaker } from './waker.ts'

export type HoldLeaseOptions = {
  /** Whose log: "policy". */
  readonly service: string
  /** Ways to its owner that share nothing: the answer by one of them is enough. */
  readonly paths: Paths<LeaseClient>
  readonly follower: Pick<LogFollower, 'position' | 'reach'>
  readonly log: Log
  /** Milliseconds on a clock that never goes back: `createLeaseClock()`. */
  readonly now: () => number
}

export type Lease = {
  /**
   * Whether the state in memory is known to hold everything that was committed two seconds ago. Who asks
   * several leases reads their clock once.
   */
  valid(atMs?: number): boolean
  /**
   * Resolves with true once the state in memory is known to hold everything that was committed before the
   * call: within half a second as a rule; with false when two seconds have not shown it.
   */
  confirmed(): Promise<boolean>
  /** Called within 50 ms. Answers a function that ends it. */
  onLost(listener: () => void): () => void
  onRegained(listener: () => void): () => void
  stop(): void
}

const RENEW_MS = 500
/** An answer that is not there by then is asked for by the other paths: they have more than half a lease for theirs. */
const LATE_MS = 250
const WATCH_MS = 50
/** When the reader was behind it asks again once it has caught up, but not for ever. */
const AT_ONCE_MAX = 3

/**
 * Proves, again every half second, that the follower has applied everything. Only the owner itself can
 * say so, over mutual TLS: an answer that another could forge would hide a revocation. It is asked by
 * independent paths in turn, and by the others as well where one fails or is late, so that no connection
 * that hangs costs the lease.
 */
export function holdLease(options: HoldLeaseOptions): Lease {
  const { service, paths, follower, now } = options
  const log = options.log.child({ component: 'lease', follows: service })
  const stopping = new AbortController()
  const [path, ...otherPaths] = paths
  const askBy = (client: LeaseClient): AskOwner => askByStream(client, stopping.signal)
  const asks: Paths<AskOwner> = [askBy(path), ...otherPaths.map(askBy)]
  const lost = createWaker()
  const regained = createWaker()
  /** Who waits to know, and since when. */
  const waiting = new Map<(isConfirmed: boolean) => void, number>()
  let lease = NO_LEASE
  let turns = 0
  let wasValid = false
  /** Since it does not hold: once, or it would be said twice a second. */
  let isSaidWhy = false

  const valid = (atMs = now()): boolean =>
    !stopping.signal.aborted && isLeaseValid(lease, follower.position(), atMs)

  const answerWaiting = (isValid: boolean): void => {
    const provenAt = isValid ? lease.until - LEASE_MS : Number.NEGATIVE_INFINITY
    for (const [answer, since] of waiting) {
      const isConfirmed = provenAt >= since
      if (!isConfirmed && now() - since < LEASE_MS && !stopping.signal.aborted) continue
      waiting.delete(answer)
      answer(isConfirmed)
    }
  }

  const watch = (): void => {
    const isValid = valid()
    answerWaiting(isValid)
    if (isValid === wasValid) return
    wasValid = isValid
    if (isValid) {
      isSaidWhy = false
      log.info({}, 'the lease holds')
      regained.wake()
    } else {
      log.warn({}, 'the lease was lost')
      lost.wake()
    }
  }

  const renew = async (ask: AskOwner, answers: () => void): Promise<void> => {
    for (let tried = 0; tried < AT_ONCE_MAX && !stopping.signal.aborted; tried += 1) {
      const nonce = randomUUID()
      const { epoch, pos: applied } = follower.position()
      lease = leaseAsked(lease, nonce, now())
      const answer = await ask({ epoch, applied, nonce })
      answers()
      const answered = leaseAnswered(lease, answer, follower.position(), now())
      lease = answered.lease
      watch()
      if (answered.outcome !== 'behind') return
      await follower.reach({ epoch: answer.epoch, pos: answer.head }, LEASE_MS)
    }
  }

  const renewBy = async (ask: AskOwner, answers: () => void): Promise<void> => {
    try {
      await renew(ask, answers)
    } catch (error) {
      const isDue = !valid() && !stopping.signal.aborted && !isSaidWhy
      isSaidWhy ||= isDue
      log[isDue ? 'warn' : 'debug']({ error: messageOf(error) }, 'the lease was not renewed')
    }
  }

  const renewAgain = async (): Promise<void> => {
    const ask = asks[turns % asks.length] ?? asks[0]
    turns += 1
    const others = asks.filter((other) => other !== ask)
    const askOthers = (): void => {
      for (const other of others.splice(0)) void renewBy(other, () => undefined)
    }
    const late = setTimeout(askOthers, LATE_MS)
    await renewBy(ask, () => others.splice(0))
    clearTimeout(late)
    // None is left where it answered.
    askOthers()
  }

  void renewAgain()
  const endRenewing = everyTick(RENEW_MS, () => void renewAgain())
  const endWatching = everyTick(WATCH_MS, watch)

  return {
    valid,
    confirmed: () =>
      new Promise((answer) => {
        waiting.set(answer, now())
        // Nobody looks any more.
        if (stopping.signal.aborted) answerWaiting(false)
      }),
    onLost: lost.subscribe,
    onRegained: regained.subscribe,
    stop() {
      stopping.abort()
      endRenewing()
      endWatching()
      watch()
    },
  }
}
