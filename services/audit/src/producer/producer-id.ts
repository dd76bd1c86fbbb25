import { createHash } from 'node:crypto'
import { rejections } from '@postern/errors'
import { type Id, parseId } from '@postern/ids'

const rejected = rejections({
  SPOOL_ID_INVALID: [
    'invalid_argument',
    'a spool id has 1 to 64 letters, digits, hyphens and underscores',
  ],
})

/** A gateway's spool as a producer of records. */
export type ProducerKey = {
  /** Follows from the name, so that every part of the service finds the same. */
  readonly id: Id<'producer'>
  readonly gateway: string
  /** `<SPIFFE ID>#<spool id>` */
  readonly name: string
}

const SPOOL_ID = /^[A-Za-z0-9_-]{1,64}$/

/** @throws Rejection SPOOL_ID_INVALID */
export function producerKey(gateway: string, spoolId: string): ProducerKey {
  if (!SPOOL_ID.test(spoolId)) throw rejected('SPOOL_ID_INVALID')
  const name = `${gateway}#${spoolId}`
  return { id: parseId('producer', uuidOf(name)), gateway, name }
}

/** A UUIDv8 (RFC 9562, 5.8) out of a hash of the name. */
function uuidOf(name: string): string {
  const bytes = createHash('sha256').update(name).digest().subarray(0, 16)
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x80
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80
  const hex = bytes.toString('hex')
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    hex.slice(12, 16),
    hex.slice(16, 20),
    hex.slice(20),
  ].join('-')
}
