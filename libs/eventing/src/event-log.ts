import type { Bus } from '@postern/bus'
import type { RpcRegistration } from '@postern/rpc'
import type { Log, Metrics } from '@postern/telemetry'
import type { Kysely } from 'kysely'
import type { Migration } from 'kysely/migration'
import type { EventCodec } from './codec.ts'
import type { DomainEvent } from './decider.ts'
import type { EventStore } from './event-store.ts'
import type { LogPosition } from './follower-position.ts'
import type { ProcessManager, ProcessManagerOptions } from './process-manager.ts'
import type { Projection } from './projection.ts'
import type { RebuildReport } from './rebuild-report.ts'

export type EventLogOptions<Database, Event extends DomainEvent> = {
  /** A direct connection, not through a transaction pool: it listens and holds advisory locks. */
  readonly databaseUrl: string
  /** "tunnel-broker". Its schema is the same with "_". */
  readonly service: string
  readonly codec: EventCodec<Event>
  readonly projections: readonly Projection<Database, Event>[]
  /** The service's own tables, forward only, by file name. */
  readonly migrations: Readonly<Record<string, Migration>>
  readonly bus: Bus
  readonly log: Log
  readonly metrics?: Metrics
  readonly now: () => Date
  /**
   * What the RPC Rebuild does after the projections, where a service keeps something that is no fold of
   * its log. Answers whether all of it was as it should be.
   */
  readonly rebuildOwn?: (
    db: Kysely<Database>,
    options: { readonly verify: boolean },
  ) => Promise<boolean>
}

/** One service's log, and everything that lives on it. */
export type EventLog<Database, Event extends DomainEvent> = {
  readonly db: Kysely<Database>
  readonly store: EventStore<Database, Event>
  /** EventLogService, for the service's RPC server. */
  readonly registration: RpcRegistration
  /**
   * Where the log ended within the last second.
   * @throws Error when PostgreSQL does not say
   */
  head(): Promise<LogPosition>
  /**
   * Calls back when something was appended, by whatever process: at once, or within two seconds where
   * PostgreSQL did not tell of it. Answers a function that ends it.
   */
  onAppend(listener: () => void): () => void
  /** Added before or after `start`; runs from then on until `stop`. */
  processManager(options: ProcessManagerOptions<Event>): ProcessManager
  /** Begins to publish and to run process managers. Waits for nothing. */
  start(): Promise<void>
  /** Ends all of it and closes the connections. */
  stop(): Promise<void>
  /** Empties every projection and folds the log again. With `verify`, one that differs is kept as it was. */
  rebuild(options?: { readonly verify?: boolean }): Promise<RebuildReport>
  /** The reason why the log cannot be used now. */
  ready(): Promise<string | undefined>
}
