import type { BusMessage } from '@postern/bus'
import type { RecordedEvent } from '@postern/proto/postern/eventlog/v1/event_log'
import type { EventMeta, LogEvent } from './log-table.ts'
import { subjectOf } from './names.ts'

export function toRecordedEvent(logged: LogEvent): RecordedEvent {
  const { pos, id, stream, ver, type, schemaVer, data, at, meta } = logged
  const { actor, cause, traceparent = '' } = meta
  return {
    pos,
    id,
    stream,
    ver: BigInt(ver),
    type,
    schemaVer,
    data: Buffer.from(data),
    at: at.toISOString(),
    meta: { actor, cause, traceparent },
  }
}

/** @throws Error when it is not one of ours */
export function fromRecordedEvent(event: RecordedEvent): LogEvent {
  const { pos, id, stream, ver, type, schemaVer, data, meta } = event
  const at = new Date(event.at ?? '')
  if (meta === undefined || Number.isNaN(at.getTime())) {
    throw new Error(`the event at ${pos} is incomplete`)
  }
  return { pos, id, stream, ver: Number(ver), type, schemaVer, data, at, meta: toMeta(meta) }
}

/** CloudEvents in binary mode (its NATS binding), so that the payload is only the event. */
export function toBusMessage(
  service: string,
  epoch: string,
  logged: LogEvent,
): Omit<BusMessage, 'seq'> {
  const { pos, id, stream, ver, type, schemaVer, data, at, meta } = logged
  return {
    subject: subjectOf(service, stream, type),
    data,
    headers: {
      'ce-specversion': '1.0',
      'ce-id': id,
      'ce-source': `postern/${service}`,
      'ce-type': type,
      'ce-time': at.toISOString(),
      pos: String(pos),
      epoch,
      ver: String(ver),
      stream,
      schemaver: String(schemaVer),
      actor: meta.actor,
      cause: meta.cause,
      ...(meta.traceparent === undefined ? {} : { traceparent: meta.traceparent }),
    },
  }
}

function toMeta({ actor, cause, traceparent }: Required<EventMeta>): EventMeta {
  return { actor, cause, ...(traceparent === '' ? {} : { traceparent }) }
}
