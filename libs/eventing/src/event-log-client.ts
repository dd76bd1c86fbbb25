import type {
  FollowEventsRequest,
  FollowEventsResponse,
  HoldLeaseRequest,
  HoldLeaseResponse,
  RenewLeaseRequest,
  RenewLeaseResponse,
} from '@postern/proto/postern/eventlog/v1/event_log'

type CallOptions = { readonly signal?: AbortSignal; readonly deadlineMs?: number }

/** Ways to one and the same owner that share no connection. */
export type Paths<Client> = readonly [Client, ...(readonly Client[])]

/** What a reader needs of each of `clients.paths(EventLogServiceDefinition, service)`. */
export type EventLogClient = {
  readonly followEvents: (
    request: FollowEventsRequest,
    options?: CallOptions,
  ) => AsyncIterable<FollowEventsResponse>
  readonly holdLease: (
    requests: AsyncIterable<HoldLeaseRequest>,
    options?: CallOptions,
  ) => AsyncIterable<HoldLeaseResponse>
  readonly renewLease: (
    request: RenewLeaseRequest,
    options?: CallOptions,
  ) => Promise<RenewLeaseResponse>
}
