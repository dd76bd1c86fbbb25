export type { EncodedEvent, EventCodec } from './codec.ts'
export type { Decider, Decision, DomainEvent } from './decider.ts'
export { eventCodec, upcast } from './event-codec.ts'
export type { EventLog, EventLogOptions } from './event-log.ts'
export type { EventLogClient } from './event-log-client.ts'
export { type Actor, type EventStore, VersionConflictError } from './event-store.ts'
export {
  type FollowLogOptions,
  followLog,
  type LogFollower,
  type LogPosition,
} from './follow-log.ts'
export { type HoldLeaseOptions, holdLease, type Lease } from './hold-lease.ts'
export { createLeaseClock } from './lease-clock.ts'
export { provisionLogSql } from './log-schema.ts'
export { openEventLog } from './open-event-log.ts'
export type { ProcessManager, ProcessManagerOptions } from './process-manager.ts'
export type { Projection } from './projection.ts'
export type { ProjectionReport, RebuildReport } from './rebuild-report.ts'
export type { Recorded } from './recorded.ts'
