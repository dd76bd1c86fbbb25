import type { Bus } from '@postern/bus'
import type { Log } from '@postern/telemetry'
import type { EventCodec } from './codec.ts'
import type { DomainEvent } from './decider.ts'
import type { EventLogClient } from './event-log-client.ts'
import type { Recorded } from './recorded.ts'

export type LogPosition = {
  /** Empty until the first answer of the log's owner. */
  readonly epoch: string
  readonly pos: bigint
}

export type FollowLogOptions<Event extends DomainEvent> = {
  /** Whose log: "policy". */
  readonly service: string
  readonly client: EventLogClient
  readonly bus: Bus
  readonly codec: Pick<EventCodec<Event>, 'decode'>
  /**
   * A contiguous run, in order; `position` is where the log stands after it. Types that the codec does
   * not know are left out of `events` and counted in `position`. Must not throw.
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
  /** Pulls until the head that the owner names. Rejects when the owner cannot be reached. */
  pull(): Promise<void>
  stop(): void
}

/** Keeps a state in memory up to date with the log of another service. */
export function followLog<Event extends DomainEvent>(
  options: FollowLogOptions<Event>,
): LogFollower {
  throw new Error(`following ${options.service} is being built`)
}
