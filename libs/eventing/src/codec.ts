import type { DomainEvent } from './decider.ts'

/** An event as it lies in the log. */
export type EncodedEvent = {
  /** Full name of the message: "postern.policy.events.v1.GrantCreated". */
  readonly type: string
  readonly schemaVer: number
  readonly data: Uint8Array
}

/** Between a service's domain events and the bytes in its log. */
export type EventCodec<Event extends DomainEvent> = {
  encode(event: Event): EncodedEvent
  /** `undefined` for a type that this version does not know. Old shapes are upcast. */
  decode(encoded: EncodedEvent): Event | undefined
}
