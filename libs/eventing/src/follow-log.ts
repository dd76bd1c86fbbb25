import type { Bus } from '@postern/bus'
import { messageOf } from '@postern/errors'
import type { Log } from '@postern/telemetry'
import type { EventCodec } from './codec.ts'
import type { DomainEvent } from './decider.ts'
import { decodeRecorded } from './decode-recorded.ts'
import type { EventLogClient } from './event-log-client.ts'
import {
  type Intake,
  type LogPosition,
  NOWHERE,
  takePulled,
  takePushed,
} from './follower-position.ts'
import { namesOf } from './names.ts'
import { pause, pauseUnless } from './pause.ts'
import type { Recorded } from './recorded.ts'
import { shareReads } from './share-reads.ts'
import { createWaker } from './waker.ts'
import { decodeHint, fromBusMessage, fromRecordedEvent } from './wire.ts'

export type FollowLogOptions<Event extends DomainEvent> = {
  /** Whose log: "policy". */
  readonly service: string
  readonly client: EventLogClient
  readonly bus: Bus
  readonly codec: Pick<EventCodec<Event>, 'decode'>
  /**
   * A contiguous run, in order; `position` is where the log stands after it. Types that the codec does
   * not know are left out of `events` and counted in `position`. Must not throw: the state would be
   * emptied and folded again.
   */
  readonly onEvents: (events: readonly Recorded<Event>[], position: LogPosition) => void
  /** Before the first event, and when the log is another one: empty the state, all events follow anew. */
  readonly onReset: (epoch: string) => void
  readonly log: Log
}

export type LogFollower = {
  position(): LogPosition
  /** Resolves when everything up to a head that the owner named was applied for the first time. */
  readonly caughtUp: Promise<void>
  /** Pulls until a head that the owner names from now on. Rejects when the owner cannot be reached. */
  pull(): Promise<void>
  stop(): void
}

const PAGE = 500
const PULL_MS_MAX = 3000
const SILENCE_MS = 1000
const RETRY_MS = 100
const RETRY_MS_MAX = 2000

/**
 * Keeps a state in memory up to date with the log of another service. It pulls at start, on a hole, on a
 * hint, after a second of silence and when the epoch changes; the bus only makes it faster.
 */
export function followLog<Event extends DomainEvent>(
  options: FollowLogOptions<Event>,
): LogFollower {
  const { service, client, bus, codec, onEvents, onReset } = options
  const log = options.log.child({ component: 'follower', follows: service })
  const names = namesOf(service)
  const stopping = new AbortController()
  const attention = createWaker()
  let reachedHead: () => void = () => undefined
  const caughtUp = new Promise<void>((resolve) => {
    reachedHead = resolve
  })
  let position = NOWHERE
  let pullWanted = true
  let heardAt = performance.now()
  let endStream: (() => void) | undefined

  const wantPull = (): void => {
    pullWanted = true
    attention.wake()
  }

  const apply = ({ reset, apply: events, position: next }: Intake): void => {
    if (stopping.signal.aborted || (!reset && events.length === 0)) return
    // Decoded before anything changes: an event that cannot be read leaves the state as it was.
    const recorded = events.flatMap((event) => decodeRecorded(codec, event) ?? [])
    try {
      if (reset) {
        endStream?.()
        endStream = undefined
        onReset(next.epoch)
      }
      position = next
      if (events.length > 0) onEvents(recorded, next)
    } catch (error) {
      // What the state holds now is unknown, so it is nowhere: whoever asks may not rely on it.
      position = NOWHERE
      throw new Error('the state could not take its events', { cause: error })
    }
    heardAt = performance.now()
  }

  const pullOnce = async (): Promise<void> => {
    for (let more = true; more && !stopping.signal.aborted; ) {
      const asked = position.pos
      const { epoch, head, events } = await client.readEvents(
        { after: asked, limit: PAGE },
        {
          deadlineMs: PULL_MS_MAX,
          signal: AbortSignal.any([stopping.signal, AbortSignal.timeout(PULL_MS_MAX)]),
        },
      )
      if (epoch === '') throw new Error(`${service} answered without an epoch`)
      const intake = takePulled(position, asked, {
        epoch,
        head,
        events: events.map(fromRecordedEvent),
      })
      const moved = intake.reset || intake.apply.length > 0
      if (intake.pull && !moved) throw new Error(`${service} does not give what follows ${asked}`)
      apply(intake)
      more = intake.pull
    }
    heardAt = performance.now()
    reachedHead()
    followStream()
  }
  const pull = shareReads(pullOnce)

  const followStream = (): void => {
    if (endStream !== undefined || stopping.signal.aborted) return
    endStream = bus.stream(names.stream).follow(position.pos, (message) => {
      const pushed = fromBusMessage(message)
      if (pushed === undefined) return
      try {
        const intake = takePushed(position, pushed.epoch, pushed.event)
        if (intake.pull) wantPull()
        apply(intake)
      } catch (error) {
        log.error({ seq: String(message.seq), error: messageOf(error) }, 'an event was not applied')
        wantPull()
      }
    })
  }

  const endHints = bus.subscribeCore(names.hint, (data) => {
    const hint = decodeHint(data)
    if (hint === undefined) return
    if (hint.epoch !== position.epoch || hint.pos > position.pos) wantPull()
  })

  const run = async (): Promise<void> => {
    let retryMs = RETRY_MS
    while (!stopping.signal.aborted) {
      const silentMs = performance.now() - heardAt
      if (!pullWanted && silentMs < SILENCE_MS) {
        await pauseUnless(attention.subscribe, SILENCE_MS - silentMs, stopping.signal)
        continue
      }
      pullWanted = false
      try {
        await pull()
        retryMs = RETRY_MS
      } catch (error) {
        if (stopping.signal.aborted) return
        log.warn({ error: messageOf(error) }, 'the log could not be pulled')
        pullWanted = true
        await pause(retryMs * (0.5 + Math.random()), stopping.signal)
        retryMs = Math.min(retryMs * 2, RETRY_MS_MAX)
      }
    }
  }
  void run()

  return {
    position: () => position,
    caughtUp,
    pull,
    stop() {
      stopping.abort()
      endHints()
      endStream?.()
    },
  }
}
