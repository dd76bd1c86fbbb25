import type { DomainEvent } from './decider.ts'

/** An event as it lies in the log. */
export type EncodedEvent = {
  /** Full name of the message: "postern.policy.events.v1.GrantCreated". */
  readonly type: string
  readonly schemaVer: number
  readonly data: Uint8Array
}

/**
 * Between a service's domain events and the bytes in its log. Both are properties, not methods, so that
 * TypeScript compares the shapes both ways.
 */
export type EventCodec<Event extends DomainEvent> = {
  readonly encode: (event: Event) => EncodedEvent
  /** `undefined` for a type that this version does not know. Old shapes are upcast. */
  readonly decode: (encoded: EncodedEvent) => Event | undefined
}
