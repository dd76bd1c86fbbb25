import type { IndexedEntry } from '../record/log-entry.ts'

export const AUDIT_STREAM = 'AUDIT'
export const AUDIT_SUBJECTS = ['postern.audit.*']
export const CHECKPOINT_SUBJECT = 'postern.audit-checkpoint'

/** A name or an id of a cluster; anything else is no token of a subject. */
const CLUSTER = /^[A-Za-z0-9][A-Za-z0-9_-]{0,127}$/

/** An entry as it goes to SIEMs: the very bytes that were hashed. */
export function toStreamMessage(origin: string, { index, body, event }: IndexedEntry) {
  const cluster = event !== undefined && CLUSTER.test(event.cluster) ? event.cluster : 'none'
  return {
    subject: `postern.audit.${cluster}`,
    headers: {
      'content-type': 'application/json',
      'ce-id': String(index),
      'ce-source': origin,
      'ce-type':
        event === undefined ? 'audit.postern.dev.v1.InvalidRecord' : 'audit.k8s.io.v1.Event',
    },
    data: body,
  }
}
