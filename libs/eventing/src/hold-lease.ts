import type { Bus } from '@postern/bus'
import type { Log } from '@postern/telemetry'
import type { EventLogClient } from './event-log-client.ts'
import type { LogFollower } from './follow-log.ts'

export type HoldLeaseOptions = {
  readonly service: string
  readonly client: EventLogClient
  readonly bus: Bus
  readonly follower: LogFollower
  readonly log: Log
  /** Milliseconds on a clock that never goes back: `createLeaseClock()`. */
  readonly now: () => number
}

export type Lease = {
  /** Whether the state in memory is known to hold every revocation older than two seconds. */
  valid(): boolean
  /** Answers a function that ends it. */
  onLost(listener: () => void): () => void
  onRegained(listener: () => void): () => void
  stop(): void
}

/** Renews a lease on the bus and by gRPC at the same time; either is enough. */
export function holdLease(options: HoldLeaseOptions): Lease {
  throw new Error(`the lease of ${options.service} is being built`)
}
