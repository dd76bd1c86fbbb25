import type { EventCodec } from './codec.ts'
import type { DomainEvent } from './decider.ts'
import type { LogEvent } from './log-table.ts'
import type { Recorded } from './recorded.ts'

type Decoder<Event extends DomainEvent> = Pick<EventCodec<Event>, 'decode'>

/** `undefined` for a type that the codec does not know. */
export function decodeRecorded<Event extends DomainEvent>(
  codec: Decoder<Event>,
  logged: LogEvent,
): Recorded<Event> | undefined {
  const event = codec.decode(logged)
  if (event === undefined) return undefined
  const { pos, id, stream, ver, at, meta } = logged
  const { actor, cause } = meta
  return { pos, id, stream, ver, at: at.toISOString(), actor, cause, event }
}

/**
 * For a service's own log, where leaving an event out would make a wrong state.
 *
 * @throws Error for a type that the codec does not know
 */
export function decodeOwn<Event extends DomainEvent>(
  codec: Decoder<Event>,
  logged: LogEvent,
): Recorded<Event> {
  const recorded = decodeRecorded(codec, logged)
  if (recorded === undefined) {
    throw new Error(
      `the log holds ${logged.type} at ${logged.pos}, which this version does not know: run the version that wrote it, or a newer one`,
    )
  }
  return recorded
}
