import { newId } from '@postern/ids'
import type { EventCodec } from './codec.ts'
import type { DomainEvent } from './decider.ts'
import type { Actor } from './event-store.ts'
import type { EventMeta, LogEvent } from './log-table.ts'

const EVENTS_MAX = 500
/** Well under what a bus message and a page of the log may hold. */
const EVENT_BYTES_MAX = 256 * 1024
const STREAM = /^[a-z][a-z0-9]*(-[A-Za-z0-9_.:~]+)+$/
const STREAM_LENGTH_MAX = 200
const TEXT = /^[\x20-\x7e]{1,300}$/

/** Checks what a command wants to append; `pos` is set once the head is taken. */
export function toNewEvents<Event extends DomainEvent>(order: {
  readonly codec: EventCodec<Event>
  readonly stream: string
  readonly version: number
  readonly events: readonly Event[]
  readonly actor: Actor
  readonly at: Date
  readonly traceparent: string | undefined
}): readonly Omit<LogEvent, 'pos'>[] {
  const { codec, stream, version, events, actor, at, traceparent } = order
  checkAppend(order)
  const meta: EventMeta = {
    actor: actor.by,
    cause: actor.cause,
    ...(traceparent === undefined ? {} : { traceparent }),
  }
  return events.map((event, index) => {
    const encoded = codec.encode(event)
    if (encoded.data.length > EVENT_BYTES_MAX) {
      throw new Error(`${encoded.type} has more than ${EVENT_BYTES_MAX} bytes`)
    }
    return { ...encoded, id: newId('event'), stream, ver: version + index + 1, meta, at }
  })
}

/** @throws Error for a stream, an actor or a number of events that no log takes */
export function checkAppend({
  stream,
  events,
  actor: { by, cause },
}: {
  readonly stream: string
  readonly events: readonly DomainEvent[]
  readonly actor: Actor
}): void {
  if (!STREAM.test(stream) || stream.length > STREAM_LENGTH_MAX) {
    throw new Error(`"${stream}" is not a stream's name: write "<aggregate>-<id>"`)
  }
  if (events.length > EVENTS_MAX) {
    throw new Error(`a command may append ${EVENTS_MAX} events at most, not ${events.length}`)
  }
  // They become message headers, which are lines of text.
  if (!TEXT.test(by) || !TEXT.test(cause)) {
    throw new Error('an actor and a cause are printable ASCII of 1 to 300 characters')
  }
}
