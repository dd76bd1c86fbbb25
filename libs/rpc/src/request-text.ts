import { rejections } from '@postern/errors'

const rejected = rejections({
  NUL_IN_TEXT: ['invalid_argument', 'text may hold any character but NUL (U+0000)'],
})

/**
 * Refuses a request in whose text, at whatever depth, a NUL stands. Protobuf and JSON allow it;
 * PostgreSQL does not (https://www.postgresql.org/docs/current/datatype-character.html), where it
 * would come out as a failure of ours instead of a mistake of the caller's.
 *
 * @throws Rejection
 */
export function checkText(request: unknown): void {
  if (holdsNul(request)) throw rejected('NUL_IN_TEXT')
}

/** What ts-proto decodes: texts, numbers, bytes, dates, lists, messages, and maps as plain objects. */
function holdsNul(value: unknown): boolean {
  if (typeof value === 'string') return value.includes('\0')
  if (typeof value !== 'object' || value === null) return false
  if (ArrayBuffer.isView(value)) return false
  if (Array.isArray(value)) return value.some(holdsNul)
  return Object.entries(value).some(([key, field]) => key.includes('\0') || holdsNul(field))
}
