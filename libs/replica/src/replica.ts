import type { Cluster, Snapshot, User } from '@postern/access'
import type { RpcClients } from '@postern/rpc'
import type { Log } from '@postern/telemetry'

/** The last position of each log that is in the snapshot. */
export type Positions = Readonly<Record<ReplicatedLog, bigint>>

export type ReplicatedLog = 'identity' | 'policy' | 'tunnel-broker'

/** What a bearer token stands for. Whether it has expired is for the caller to check. */
export type KnownToken = {
  readonly tokenId: string
  readonly userId: string
  /** RFC 3339. */
  readonly expiresAt: string
}

/** Identity, policy and tunnel-broker in memory, as one immutable snapshot per version. */
export type Replica = {
  /** Begins to read; does not wait for anything. */
  start(): void
  stop(): Promise<void>
  /** The same object until something in it changes. */
  snapshot(): Snapshot
  /** Raised with every change, also of tokens. */
  readonly version: number
  positions(): Positions
  /**
   * Whether each log was read to its head. Nothing may be decided before. It is false again while a log
   * that was restored from a backup is read anew; the snapshot stays as it was until that is done.
   */
  readonly caughtUp: boolean
  /** Resolves when caught up; rejects when the signal aborts. */
  ready(signal: AbortSignal): Promise<void>
  /** By the SHA-256 of the token, as bytes or lower-case hex. */
  tokenBySha256(sha256: Uint8Array | string): KnownToken | undefined
  userByName(name: string): User | undefined
  clusterByName(name: string): Cluster | undefined
  /** Whether the agent joined the cluster and was not removed. */
  hasAgent(clusterId: string, agentId: string): boolean
  /** Called after each change, once the new snapshot is in place. Answers a function that ends it. */
  onChange(listener: () => void): () => void
  /**
   * Whether it is caught up and all logs' leases hold at that moment of their clock, or now. Always true without
   * leases.
   */
  leaseValid(atMs?: number): boolean
  /**
   * Resolves with true once everything that was committed before the call is in the snapshot, with false
   * when two seconds have not shown that. Needs leases; without them nothing is known of it: false.
   */
  confirmed(): Promise<boolean>
  /** Called when the answer of `leaseValid` flips. Answers a function that ends it. */
  onLease(listener: (valid: boolean) => void): () => void
}

export type ReplicaNeeds = {
  readonly clients: RpcClients
  readonly log: Log
  /** Holds a lease on every log, as one must who decides requests: by this clock (`createLeaseClock`). */
  readonly leaseClock?: () => number
}
