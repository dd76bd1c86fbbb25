import type { DomainEvent, EventLog, EventLogClient } from '@postern/eventing'
import {
  ReadEventsResponse,
  RenewLeaseResponse,
} from '@postern/proto/postern/eventlog/v1/event_log'

type Handlers = Record<'readEvents' | 'renewLease', (request: object) => Promise<object>>

/** The owner's handlers without gRPC between; `cut` makes them as unreachable as a lost network. */
export function clientOf<Database, Event extends DomainEvent>(
  log: EventLog<Database, Event>,
): EventLogClient & { cut: boolean } {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the registration's type hides its handlers
  const handlers = log.registration.handlers as Handlers
  const client = {
    cut: false,
    async readEvents(request: object) {
      if (client.cut) throw new Error('the network is cut')
      // Through the wire format, as in life.
      const answer = ReadEventsResponse.fromPartial(await handlers.readEvents(request))
      return ReadEventsResponse.decode(ReadEventsResponse.encode(answer).finish())
    },
    async renewLease(request: object) {
      if (client.cut) throw new Error('the network is cut')
      const answer = RenewLeaseResponse.fromPartial(await handlers.renewLease(request))
      return RenewLeaseResponse.decode(RenewLeaseResponse.encode(answer).finish())
    },
  }
  return client
}
