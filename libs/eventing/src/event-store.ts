import type { Transaction } from 'kysely'
import type { Decider, DomainEvent } from './decider.ts'

/** Someone else appended to the stream first: load it again and decide again. */
export class VersionConflictError extends Error {
  override readonly name = 'VersionConflictError'
}

export type Actor = {
  /** "user:<id>", "service:<name>", "agent:<id>" or "system". */
  readonly by: string
  /** The RPC or process manager: "policy.v1.GrantService/CreateGrant". */
  readonly cause: string
}

/** One service's log. Every append is one transaction with its projections. */
export type EventStore<Database, Event extends DomainEvent> = {
  /** Folds a stream. A stream that was never written has the initial state and version 0. */
  load<State, E extends Event>(
    stream: string,
    decider: Decider<State, never, E>,
  ): Promise<{ state: State; version: number }>

  /**
   * Loads, decides and appends; decides again, a bounded number of times, when another writer came
   * first. Answers the new state and the position of its last event (or of the stream's last).
   * `guard` runs in the same transaction before the append; it throws to refuse.
   *
   * @throws Rejection when the decider, a guard or a projection's constraint says no
   */
  execute<State, Command, E extends Event>(order: {
    stream: string
    decider: Decider<State, Command, E>
    command: Command
    actor: Actor
    guard?: (db: Transaction<Database>) => Promise<void>
  }): Promise<{ state: State; pos: bigint }>
}
