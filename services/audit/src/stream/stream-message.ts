import { parseRecord } from '../record/audit-event.ts'

export const AUDIT_STREAM = 'AUDIT'
export const AUDIT_SUBJECTS = ['postern.audit.*']
export const CHECKPOINT_SUBJECT = 'postern.audit-checkpoint'

/** A name or an id of a cluster; anything else is no token of a subject. */
const CLUSTER = /^[A-Za-z0-9][A-Za-z0-9_-]{0,127}$/

/** An entry as it goes to SIEMs: the very bytes that were hashed. */
export function toStreamMessage(origin: string, entry: { index: number; body: Uint8Array }) {
  const parsed = parseRecord(entry.body)
  const cluster = parsed.valid && CLUSTER.test(parsed.event.cluster) ? parsed.event.cluster : 'none'
  return {
    subject: `postern.audit.${cluster}`,
    headers: {
      'content-type': 'application/json',
      'ce-id': String(entry.index),
      'ce-source': origin,
      'ce-type': parsed.valid ? 'audit.k8s.io.v1.Event' : 'audit.postern.dev.v1.InvalidRecord',
    },
    data: entry.body,
  }
}
