import type { DomainEvent } from './decider.ts'

/** An event with its place in a log. */
export type Recorded<Event extends DomainEvent> = {
  /** Gap-free and in commit order, from 1. */
  readonly pos: bigint
  readonly id: string
  /** "<aggregate>-<id>". */
  readonly stream: string
  /** Version within the stream, from 1. */
  readonly ver: number
  /** RFC 3339, UTC. */
  readonly at: string
  readonly actor: string
  readonly cause: string
  readonly event: Event
}
