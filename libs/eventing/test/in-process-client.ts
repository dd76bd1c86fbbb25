import type { DomainEvent, EventLog, EventLogClient } from '@postern/eventing'
import {
  FollowEventsResponse,
  type HoldLeaseRequest,
  HoldLeaseResponse,
  RenewLeaseResponse,
} from '@postern/proto/postern/eventlog/v1/event_log'
import type { Call } from '@postern/rpc'
import { callAs } from '@postern/rpc/testing'

type Handlers = {
  followEvents: (request: object, context: { call: Call }) => AsyncIterable<FollowEventsResponse>
  holdLease: (
    requests: AsyncIterable<HoldLeaseRequest>,
    context: { call: Call },
  ) => AsyncIterable<HoldLeaseResponse>
  renewLease: (request: object) => Promise<RenewLeaseResponse>
}

/** The owner's handlers without gRPC between; `cut` makes them as unreachable as a lost network. */
export function clientOf<Database, Event extends DomainEvent>(
  log: EventLog<Database, Event>,
): EventLogClient & { cut: boolean } {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the registration's type hides its handlers
  const handlers = log.registration.handlers as Handlers
  let broken: AbortController | undefined
  let network = new AbortController()
  const peer = { kind: 'gateway', id: 'g' } as const
  const untilCut = (ended: AbortSignal | undefined): AbortSignal =>
    AbortSignal.any([network.signal, ...(ended === undefined ? [] : [ended])])
  return {
    get cut() {
      return broken !== undefined
    },
    set cut(isCut) {
      broken = isCut ? network : undefined
      if (isCut) network.abort(new Error('the network is cut'))
      else network = new AbortController()
    },
    async *followEvents(request, { signal: ended } = {}) {
      const signal = untilCut(ended)
      signal.throwIfAborted()
      const call = callAs({ peer, signal })
      for await (const run of handlers.followEvents(request, { call })) {
        signal.throwIfAborted()
        // Through the wire format, as in life.
        yield FollowEventsResponse.decode(FollowEventsResponse.encode(run).finish())
      }
      signal.throwIfAborted()
    },
    async *holdLease(requests, { signal: ended } = {}) {
      const signal = untilCut(ended)
      signal.throwIfAborted()
      const call = callAs({ peer, signal })
      for await (const answer of handlers.holdLease(requests, { call })) {
        signal.throwIfAborted()
        yield HoldLeaseResponse.decode(HoldLeaseResponse.encode(answer).finish())
      }
      signal.throwIfAborted()
    },
    async renewLease(request) {
      network.signal.throwIfAborted()
      const answer = RenewLeaseResponse.fromPartial(await handlers.renewLease(request))
      return RenewLeaseResponse.decode(RenewLeaseResponse.encode(answer).finish())
    },
  }
}
