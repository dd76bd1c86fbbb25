import type { DomainEvent } from './decider.ts'
import type { Recorded } from './recorded.ts'

export type ProcessManagerOptions<Event extends DomainEvent> = {
  readonly name: string
  /**
   * Does what an event asks for outside the log. Called in order, one at a time, at least once per
   * event: again with the same key after a failure or a crash, so it must be idempotent by it.
   */
  readonly handle: (
    recorded: Recorded<Event>,
    context: {
      /** "<service>:<name>:<pos>". */
      readonly key: string
      readonly signal: AbortSignal
    },
  ) => Promise<void>
  /** The position stays where it is and nothing is handled: for replays on a copy of the log. */
  readonly effectsOff?: boolean
}

export type ProcessManager = {
  /** The last position handled, as far as this process knows. */
  position(): bigint
  /** Why it does not move on, while it fails. */
  problem(): string | undefined
}
