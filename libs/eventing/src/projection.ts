import type { Rejection } from '@postern/errors'
import type { Transaction } from 'kysely'
import type { DomainEvent } from './decider.ts'
import type { Recorded } from './recorded.ts'

/**
 * A table, or a few, that are the fold of the log. It is updated in the transaction that appends, so
 * that uniqueness and decisions can rely on it, and can be dropped and rebuilt at any time.
 */
export type Projection<Database, Event extends DomainEvent> = {
  readonly name: string
  /** Raised when `apply` changes meaning: the projection is then rebuilt at start. */
  readonly version: number
  /** Every table that it owns. */
  readonly tables: readonly (keyof Database & string)[]
  apply(db: Transaction<Database>, recorded: Recorded<Event>): Promise<void>
  /** What a violated constraint of its tables means to the caller. */
  readonly conflicts?: Readonly<Record<string, () => Rejection>>
}
