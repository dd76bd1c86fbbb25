import { type EventCodec, eventCodec } from '@postern/eventing'
import { ProducerRegistered, SpoolGapDetected } from '@postern/proto/postern/audit/events/v1/events'
import type { ProducerEvent } from './producer.ts'

/** Between a producer's events and their messages. */
export const producerCodec: EventCodec<ProducerEvent> = eventCodec('postern.audit.events.v1', {
  ProducerRegistered,
  SpoolGapDetected,
})
