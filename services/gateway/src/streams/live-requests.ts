import type { Attributes } from '@postern/access'
import { Roster } from '@postern/mux'

/** Why something that runs is ended before its time. */
export type Cut = { readonly code: 403 | 503; readonly message: string }

/** How long it may go on without the certainty that its right still holds. */
type LeaseGrace = 'none' | 'short'

/** Who may do what, and by what: a request's right, for as long as it runs. */
export type Right = {
  readonly tokenSha256: string
  readonly userId: string
  readonly clusterId: string
  readonly sessionId: string
  readonly attributes: Attributes
}

/** A request that runs. */
export type LiveRequest = {
  readonly right: Right
  readonly grace: LeaseGrace
  /** What carries it, where several requests share it. */
  readonly via?: unknown
  cut(cut: Cut): void
  /** Ends what its client resumes by itself; what is nothing of the kind goes on. */
  conclude(cut: Cut): void
}

/** Whether a right holds now, and until when at most it does so by the clock alone. */
export type Review =
  | { readonly holds: true; readonly untilMs: number }
  | { readonly holds: false; readonly why: string }

const LEASE_LOST: Cut = {
  code: 503,
  message:
    'Postern ended this stream: the gateway could no longer confirm that your access is current. ' +
    'Start it again.',
}
const TIMER_MS_MAX = 60 * 60_000
/** Decided again in one go, which takes some milliseconds: in between the gateway does its other work. */
const SLICE = 256
/** Well within what a relay, an agent or a gateway that stops gives to what runs. */
const CONCLUDE_MS = 5_000

/** Everything that runs. This is where a revocation cuts a stream. */
export function createLiveRequests(needs: {
  review(right: Right, at: Date): Review
  now: () => Date
  shortGraceMs: number
  random: () => number
}) {
  const running = new Roster<LiveRequest>()
  let timer: NodeJS.Timeout | undefined
  let timerAtMs = Number.POSITIVE_INFINITY
  let leaseTimer: NodeJS.Timeout | undefined
  /** The seats there were at the last change, the one whose turn it is, and how many are still to come. */
  let seats = 0
  let seatInTurn = 0
  let seatsLeft = 0
  let goingOn: NodeJS.Immediate | undefined

  function cut(seat: number, live: LiveRequest, why: Cut): void {
    if (running.remove(seat, live)) live.cut(why)
  }

  /** Decides again about one; answers until when it may go on. */
  function reviewOne(seat: number, live: LiveRequest, at: Date): number {
    const review = needs.review(live.right, at)
    if (review.holds) return review.untilMs
    cut(seat, live, { code: 403, message: `Postern ended this stream: ${review.why}` })
    return Number.POSITIVE_INFINITY
  }

  /**
   * Once around, from whose turn it is: however often it is asked for, everybody has his turn. Who comes
   * meanwhile is decided by what holds then.
   */
  function reviewAll(): void {
    const isUnderWay = seatsLeft > 0
    seats = running.seats
    seatsLeft = seats
    timerAtMs = Number.POSITIVE_INFINITY
    clearTimeout(timer)
    if (!isUnderWay) reviewSlice()
  }

  function reviewSlice(): void {
    let next = Number.POSITIVE_INFINITY
    const at = needs.now()
    for (let count = Math.min(SLICE, seatsLeft); count > 0; count -= 1) {
      seatsLeft -= 1
      seatInTurn = seatInTurn + 1 < seats ? seatInTurn + 1 : 0
      const live = running.at(seatInTurn)
      if (live !== undefined) next = Math.min(next, reviewOne(seatInTurn, live, at))
    }
    reviewAt(next)
    if (seatsLeft > 0) goingOn = setImmediate(reviewSlice)
  }

  /** Grants and tokens end by the clock as well, without any event. */
  function reviewAt(atMs: number): void {
    if (atMs >= timerAtMs) return
    timerAtMs = atMs
    clearTimeout(timer)
    const inMs = Math.min(Math.max(0, atMs - needs.now().getTime()) + 1, TIMER_MS_MAX)
    timer = setTimeout(reviewAll, inMs)
  }

  function cutWhere(matches: (live: LiveRequest) => boolean, why: Cut): void {
    for (const [seat, live] of running) if (matches(live)) cut(seat, live, why)
  }

  /** Not all in one moment: each comes back at once, somewhere else. */
  function concludeWhere(matches: (live: LiveRequest) => boolean, why: Cut): void {
    for (const [seat, live] of running) {
      if (!matches(live)) continue
      const concludeOne = () => {
        if (running.at(seat) === live) live.conclude(why)
      }
      setTimeout(concludeOne, needs.random() * CONCLUDE_MS).unref()
    }
  }

  return {
    /** Whether what was allowed a while ago still is. */
    review: (right: Right, at: Date) => needs.review(right, at),

    /** Registers what begins to run now, and answers the seat that it has until it ends. */
    add(live: LiveRequest, at: Date): number {
      const seat = running.add(live)
      reviewAt(reviewOne(seat, live, at))
      return seat
    },

    /** It has ended. */
    remove(seat: number, live: LiveRequest): void {
      running.remove(seat, live)
    },

    /** Something changed: users, groups, roles, grants, clusters, tokens. */
    reviewAll,

    sessionEnded(sessionId: string, message: string): void {
      cutWhere(({ right }) => right.sessionId === sessionId, { code: 403, message })
    },

    leaseChanged(valid: boolean): void {
      clearTimeout(leaseTimer)
      if (valid) {
        reviewAll()
        return
      }
      cutWhere(({ grace }) => grace === 'none', LEASE_LOST)
      leaseTimer = setTimeout(() => cutWhere(() => true, LEASE_LOST), needs.shortGraceMs)
    },

    /** The gateway stops: what still runs is told so. */
    cutAll(message: string): void {
      cutWhere(() => true, { code: 503, message })
    },

    /** Watches end within 5 s, between two events and without an error: their clients resume them. */
    concludeAll(message: string): void {
      concludeWhere(() => true, { code: 503, message })
    },

    /** The same for what is carried by something that is being closed. */
    concludeVia(via: unknown, message: string): void {
      concludeWhere((live) => live.via === via, { code: 503, message })
    },

    get count() {
      return running.size
    },

    close(): void {
      clearTimeout(timer)
      clearTimeout(leaseTimer)
      clearImmediate(goingOn)
    },
  }
}

export type LiveRequests = ReturnType<typeof createLiveRequests>
