import type {
  ReadEventsRequest,
  ReadEventsResponse,
  RenewLeaseRequest,
  RenewLeaseResponse,
} from '@postern/proto/postern/eventlog/v1/event_log'

type CallOptions = { readonly signal?: AbortSignal; readonly deadlineMs?: number }

/** What a reader needs of `clients.of(EventLogServiceDefinition, service)`. */
export type EventLogClient = {
  readonly readEvents: (
    request: ReadEventsRequest,
    options?: CallOptions,
  ) => Promise<ReadEventsResponse>
  readonly renewLease: (
    request: RenewLeaseRequest,
    options?: CallOptions,
  ) => Promise<RenewLeaseResponse>
}
