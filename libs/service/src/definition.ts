import type { Bus } from '@postern/bus'
import type { DomainEvent, EventCodec, EventLog, EventStore, Projection } from '@postern/eventing'
import type { RenewingTlsIdentity, TlsIdentity } from '@postern/pki'
import type { AuthenticateUser, RpcClients, RpcRegistration, ServiceName } from '@postern/rpc'
import type { Log, Metrics } from '@postern/telemetry'
import type { Kysely } from 'kysely'
import type { Migration } from 'kysely/migration'
import type { z } from 'zod'

/** One of Postern's services: what it needs, and how it is put together. */
export type ServiceDefinition<Config, Database, Event extends DomainEvent> = {
  /** Its SPIFFE path segment, PostgreSQL schema and role, log and settings prefix: "tunnel-broker". */
  readonly name: string
  /** Its own settings, beside those that every service has (see settings.ts). */
  readonly settings: z.ZodType<Config>
  /** Present if it owns an event log. */
  readonly log?: {
    readonly codec: EventCodec<Event>
    readonly projections: readonly Projection<Database, Event>[]
    /** Tables beyond the event store's own, forward only, by file name. */
    readonly migrations: Readonly<Record<string, Migration>>
  }
  /** Only identity, which is its own certificate authority: instead of TLS_DIR and RenewCertificate. */
  readonly tlsIdentity?: (
    needs: Pick<Runtime<Config, Database, Event>, 'config' | 'trustDomain' | 'log' | 'now'>,
  ) => Promise<RenewingTlsIdentity>
  /**
   * Only audit: rebuilds and verifies what is not a fold of the event log, after its projections were.
   * Answers whether all of it was as it should be.
   */
  readonly rebuildOwn?: (
    needs: Pick<Runtime<Config, Database, Event>, 'config' | 'trustDomain' | 'db'> & {
      readonly verify: boolean
      readonly say: (text: string) => void
    },
  ) => Promise<boolean>
  /** How long what runs may go on when the service stops, before it is cut; 0 when absent. */
  readonly drainSeconds?: (config: Config) => number
  compose(runtime: Runtime<Config, Database, Event>): Promise<Composed>
}

/** What a service is given. Everything impure comes from here. */
export type Runtime<Config, Database, Event extends DomainEvent> = {
  readonly config: Config
  readonly trustDomain: string
  /** Only with a log. */
  readonly db: Kysely<Database>
  /** Only with a log. */
  readonly store: EventStore<Database, Event>
  /** Only with a log. The frame starts, stops and serves it. */
  readonly eventLog: Pick<EventLog<Database, Event>, 'head' | 'onAppend' | 'processManager'>
  /** Where others reach each service, as far as it is configured. */
  readonly addresses: Readonly<Partial<Record<ServiceName, string>>>
  /** Only with a log: whoever owns none has nothing to publish. */
  readonly bus: Bus
  readonly identity: TlsIdentity
  /** A client of another service's RPCs: `clients.of(GrantServiceDefinition, 'policy')`. */
  readonly clients: RpcClients
  readonly log: Log
  readonly metrics: Metrics
  readonly now: () => Date
}

/** What a service does once it is put together. Started in order, stopped in reverse. */
export type Composed = {
  /** None: LISTEN is then a setting of the service's own, or not used. */
  readonly rpc: readonly RpcRegistration[]
  /** Only identity, which knows the tokens itself: instead of asking identity. */
  readonly authenticateUser?: AuthenticateUser
  /** After the RPC server listens. Must not wait for the bus or for another service. */
  start?(): Promise<void>
  /** Whether the service can do its work now; the reason if not. Readiness, not liveness. */
  ready?(): Promise<string | undefined>
  stop?(): Promise<void>
}
