import { createHash } from 'node:crypto'
import { type AuditEvent, parseRecord } from './audit-event.ts'

/** What a gateway delivered, and where it is from. */
export type DeliveredRecord = {
  /** SPIFFE ID of the gateway and its spool. */
  readonly producer: string
  readonly number: bigint
  readonly record: Uint8Array
}

/** What goes into the log for a record: its own bytes, or what stands for them. */
export type LogEntry = {
  /** The bytes that are hashed; at most 65,535 (C2SP tlog-tiles). */
  readonly body: Uint8Array
  /** `undefined` where the record is not a valid event. */
  readonly event: AuditEvent | undefined
  /** The record itself where the body only stands for it. */
  readonly invalidRecord: Uint8Array | undefined
}

/** An entry where it stands in the log, as whoever follows it gets it. */
export type IndexedEntry = Pick<LogEntry, 'body' | 'event'> & { readonly index: number }

const PREFIX_BYTES = 1024

/**
 * A valid record goes in as it is. One that is not must neither stop the spool nor get lost: an
 * InvalidRecord entry says why, and commits to its bytes, which are kept beside the log.
 */
export function toLogEntry(delivered: DeliveredRecord): LogEntry {
  const { record } = delivered
  const parsed = parseRecord(record)
  if (parsed.valid) return { body: record, event: parsed.event, invalidRecord: undefined }
  const standIn = {
    kind: 'InvalidRecord',
    apiVersion: 'audit.postern.dev/v1',
    reason: parsed.reason,
    producer: delivered.producer,
    number: String(delivered.number),
    bytes: record.length,
    sha256: createHash('sha256').update(record).digest('hex'),
    begins: Buffer.from(record.subarray(0, PREFIX_BYTES)).toString('base64'),
  }
  return { body: Buffer.from(JSON.stringify(standIn)), event: undefined, invalidRecord: record }
}
