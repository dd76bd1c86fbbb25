import type {
  FollowEventsRequest,
  FollowEventsResponse,
  RenewLeaseRequest,
  RenewLeaseResponse,
} from '@postern/proto/postern/eventlog/v1/event_log'

type CallOptions = { readonly signal?: AbortSignal; readonly deadlineMs?: number }

/** What a reader needs of `clients.of(EventLogServiceDefinition, service)`. */
export type EventLogClient = {
  readonly followEvents: (
    request: FollowEventsRequest,
    options?: CallOptions,
  ) => AsyncIterable<FollowEventsResponse>
  readonly renewLease: (
    request: RenewLeaseRequest,
    options?: CallOptions,
  ) => Promise<RenewLeaseResponse>
}
