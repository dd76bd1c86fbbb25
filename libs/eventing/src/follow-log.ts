import { messageOf } from '@postern/errors'
import type { FollowEventsResponse } from '@postern/proto/postern/eventlog/v1/event_log'
import type { Log } from '@postern/telemetry'
import type { EventCodec } from './codec.ts'
import type { DomainEvent } from './decider.ts'
import { decodeRecorded } from './decode-recorded.ts'
import type { EventLogClient, Paths } from './event-log-client.ts'
import { type LogPosition, NOWHERE, takeRun } from './follower-position.ts'
import { pauseUnless } from './pause.ts'
import type { Recorded } from './recorded.ts'
import { createWaker } from './waker.ts'
import { fromRecordedEvent } from './wire.ts'

export type FollowLogOptions<Event extends DomainEvent> = {
  /** Whose log: "policy". */
  readonly service: string
  /** Ways to its owner that share nothing: while one hangs or fails, the next is tried. */
  readonly paths: Paths<Pick<EventLogClient, 'followEvents'>>
  readonly codec: Pick<EventCodec<Event>, 'decode'>
  /**
   * A contiguous run, in order; `position` is where the log stands after it. Types that the codec does
   * not know are left out of `events` and counted in `position`. Must not throw: the state would be
   * emptied and folded again.
   */
  readonly onEvents: (events: readonly Recorded<Event>[], position: LogPosition) => void
  /** Before the first event, and when the log is another one: empty the state, all events follow anew. */
  readonly onReset: (epoch: string) => void
  /** When the head was reached for the first time since the last reset. */
  readonly onCaughtUp?: () => void
  readonly log: Log
}

export type LogFollower = {
  position(): LogPosition
  /** Whether the head was reached since the last reset: what is folded is no moment of the past. */
  readonly caughtUp: boolean
  /**
   * Resolves when everything up to there was applied. Asks the owner at once where it waits to ask again,
   * and by another path where nothing comes by this one.
   * @throws Error when that does not happen in time
   */
  reach(position: LogPosition, timeoutMs: number): Promise<void>
  stop(): void
}

/** The owner says something every two seconds; one that is silent for so long is asked anew. */
const SILENCE_MS_MAX = 3000
/** What is known to be in the log comes within so long. A quarter of a lease: there is time for another path. */
const OVERDUE_MS = 500
const RETRY_MS = 100
const RETRY_MS_MAX = 2000
/** A stream that lasted so long may be opened again at once when it ends. */
const LASTED_MS = 1000

/**
 * Keeps a state in memory up to date with the log of another service. Everything comes from the owner
 * itself, over mutual TLS: nothing that somebody could put onto the bus is an event.
 */
export function followLog<Event extends DomainEvent>(
  options: FollowLogOptions<Event>,
): LogFollower {
  const { service, paths, codec, onEvents, onReset, onCaughtUp } = options
  const log = options.log.child({ component: 'follower', follows: service })
  const stopping = new AbortController()
  const moved = createWaker()
  const hurry = createWaker()
  const overdue = createWaker()
  let at = NOWHERE
  let caughtUp = false

  /** Whether the stream may go on: not after a reset in its middle, where the first events are missing. */
  const take = (run: FollowEventsResponse): boolean => {
    if (run.epoch === '') throw new Error(`${service} answered without an epoch`)
    const intake = takeRun(at, { ...run, events: run.events.map(fromRecordedEvent) })
    // Decoded before anything changes: an event that cannot be read leaves the state as it was.
    const recorded = intake.apply.flatMap((event) => decodeRecorded(codec, event) ?? [])
    const isStuck = !intake.isAtHead && intake.apply.length === 0
    if (isStuck && !intake.reset) throw new Error(`${service} does not give what follows ${at.pos}`)
    try {
      if (intake.reset) {
        caughtUp = false
        onReset(intake.at.epoch)
      }
      at = intake.at
      if (intake.apply.length > 0) onEvents(recorded, position())
      if (intake.isAtHead && !caughtUp) {
        caughtUp = true
        onCaughtUp?.()
      }
    } catch (error) {
      // What the state holds now is unknown, so it is nowhere: whoever asks may not rely on it.
      at = NOWHERE
      caughtUp = false
      throw new Error('the state could not take its events', { cause: error })
    }
    moved.wake()
    return !isStuck
  }

  const followOnce = async (client: Pick<EventLogClient, 'followEvents'>): Promise<void> => {
    const silent = new AbortController()
    const timer = setTimeout(() => silent.abort(), SILENCE_MS_MAX)
    let heardAt = performance.now()
    const forget = overdue.subscribe(() => {
      // Several may wait, each with a time of its own: what was opened for one is not broken off for another.
      if (performance.now() - heardAt >= OVERDUE_MS) silent.abort()
    })
    const signal = AbortSignal.any([stopping.signal, silent.signal])
    try {
      for await (const run of client.followEvents({ after: at.pos }, { signal })) {
        if (stopping.signal.aborted || !take(run)) return
        timer.refresh()
        heardAt = performance.now()
      }
    } catch (error) {
      if (silent.signal.aborted) throw new Error(`${service} fell silent`, { cause: error })
      throw error
    } finally {
      clearTimeout(timer)
      forget()
    }
  }

  const run = async (): Promise<void> => {
    let retryMs = RETRY_MS
    let failures = 0
    while (!stopping.signal.aborted) {
      const openedAt = performance.now()
      let hasFailed = false
      try {
        await followOnce(paths[failures % paths.length] ?? paths[0])
      } catch (error) {
        if (stopping.signal.aborted) return
        hasFailed = true
        failures += 1
        log.warn({ error: messageOf(error) }, 'the log could not be followed')
      }
      const hasLasted = performance.now() - openedAt >= LASTED_MS
      if (hasLasted) retryMs = RETRY_MS
      if (hasLasted && !hasFailed) continue
      await pauseUnless(hurry.subscribe, retryMs * (0.5 + Math.random()), stopping.signal)
      retryMs = Math.min(retryMs * 2, RETRY_MS_MAX)
    }
  }
  void run()

  const position = (): LogPosition => ({ epoch: at.epoch, pos: at.pos })

  return {
    position,
    get caughtUp() {
      return caughtUp
    },
    async reach({ epoch, pos }, timeoutMs) {
      hurry.wake()
      const deadline = performance.now() + timeoutMs
      const late = setInterval(() => overdue.wake(), OVERDUE_MS)
      try {
        while (at.epoch !== epoch || at.pos < pos) {
          const leftMs = deadline - performance.now()
          if (leftMs <= 0 || stopping.signal.aborted) {
            throw new Error(`the log of ${service} was not followed up to ${pos} in time`)
          }
          await pauseUnless(moved.subscribe, leftMs, stopping.signal)
          late.refresh()
        }
      } finally {
        clearInterval(late)
      }
    },
    stop: () => stopping.abort(),
  }
}
