import type { BusMessage } from '@postern/bus'
import type { RecordedEvent } from '@postern/proto/postern/eventlog/v1/event_log'
import type { EventMeta, Head, LogEvent } from './log-table.ts'
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

/** `undefined` for a message that is not an event of a log. */
export function fromBusMessage(
  message: BusMessage,
): { readonly epoch: string; readonly event: LogEvent } | undefined {
  const { headers, data, seq } = message
  const { 'ce-id': id, 'ce-type': type, 'ce-time': time = '', stream, epoch, pos } = headers
  const { ver: verText, schemaver: schemaVerText } = headers
  const at = new Date(time)
  const [ver, schemaVer] = [Number(verText), Number(schemaVerText)]
  if (!id || !type || !stream || !epoch || pos !== String(seq)) return undefined
  if (Number.isNaN(at.getTime()) || !Number.isInteger(ver) || !Number.isInteger(schemaVer)) {
    return undefined
  }
  const { actor = '', cause = '', traceparent = '' } = headers
  const meta = toMeta({ actor, cause, traceparent })
  return { epoch, event: { pos: seq, id, stream, ver, type, schemaVer, data, at, meta } }
}

export function encodeHint({ epoch, pos }: Head): Uint8Array {
  return Buffer.from(JSON.stringify({ epoch, pos: String(pos) }))
}

/** `undefined` for anything that is not a hint. */
export function decodeHint(data: Uint8Array): Head | undefined {
  try {
    const hint: unknown = JSON.parse(Buffer.from(data).toString('utf8'))
    if (typeof hint !== 'object' || hint === null || !('epoch' in hint) || !('pos' in hint)) {
      return undefined
    }
    const { epoch, pos } = hint
    if (typeof epoch !== 'string' || typeof pos !== 'string') return undefined
    return /^\d{1,19}$/.test(pos) ? { epoch, pos: BigInt(pos) } : undefined
  } catch {
    return undefined
  }
}

function toMeta({ actor, cause, traceparent }: Required<EventMeta>): EventMeta {
  return { actor, cause, ...(traceparent === '' ? {} : { traceparent }) }
}
