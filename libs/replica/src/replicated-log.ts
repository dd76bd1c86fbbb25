import {
  type DomainEvent,
  type EventCodec,
  type FollowLogOptions,
  followLog,
  type LogFollower,
  type Recorded,
} from '@postern/eventing'
import type { Log } from '@postern/telemetry'
import type { ReplicatedLog } from './replica.ts'

export type ReplicatedLogNeeds<State, Event extends DomainEvent> = {
  readonly service: ReplicatedLog
  readonly paths: FollowLogOptions<Event>['paths']
  readonly log: Log
  readonly codec: Pick<EventCodec<Event>, 'decode'>
  readonly empty: State
  readonly fold: (state: State, batch: readonly Recorded<Event>[]) => State
  /** Gets each state that may be shown, and the position it stands for. Must not throw. */
  readonly onState: (state: State, pos: bigint) => void
}

/** One log, folded. */
export type LogReader = {
  readonly follower: LogFollower
  /** Whether the log was read to its head since it was last started anew. */
  readonly caughtUp: boolean
  stop(): void
}

/**
 * Folds one log. While a log is read from its start, which happens again when it was restored, its
 * states are moments of the past: rights that were taken away later would be back. They are not shown.
 */
export function readLog<State, Event extends DomainEvent>(
  needs: ReplicatedLogNeeds<State, Event>,
): LogReader {
  const { empty, fold, onState, log, service } = needs
  let state = empty
  let pos = 0n

  const follower = followLog<Event>({
    service,
    paths: needs.paths,
    log,
    codec: needs.codec,
    onReset() {
      state = empty
      pos = 0n
    },
    onEvents(events, position) {
      state = fold(state, events)
      pos = position.pos
      if (follower.caughtUp) onState(state, pos)
    },
    onCaughtUp() {
      log.info({ follows: service, pos: String(pos) }, 'the log was read to its head')
      onState(state, pos)
    },
  })

  return {
    follower,
    get caughtUp() {
      return follower.caughtUp
    },
    stop: () => follower.stop(),
  }
}
