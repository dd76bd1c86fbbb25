/** The little of protobuf's wire format that reviews need (protobuf.dev/programming-guides/encoding). */

/** The bytes of each length-delimited field, the last one where a field is repeated. */
export type Fields = ReadonlyMap<number, Buffer>

const MAGIC = Buffer.from('k8s\0', 'latin1')
const FIELDS_MAX = 64

/** The raw object inside Kubernetes' envelope `k8s\0` + runtime.Unknown; `undefined` if it is none. */
export function unwrapKubernetesProtobuf(body: Buffer): Buffer | undefined {
  if (!body.subarray(0, MAGIC.length).equals(MAGIC)) return undefined
  return parseFields(body.subarray(MAGIC.length))?.get(2)
}

/** `undefined` for anything that is not well-formed. */
export function parseFields(message: Buffer): Fields | undefined {
  const fields = new Map<number, Buffer>()
  let at = 0
  for (let count = 0; at < message.length; count += 1) {
    if (count >= FIELDS_MAX) return undefined
    const key = readVarint(message, at)
    if (key === undefined) return undefined
    const length = fieldLength(message, key.value & 7, key.next)
    if (length === undefined || length.end > message.length) return undefined
    if ((key.value & 7) === 2)
      fields.set(key.value >>> 3, message.subarray(length.start, length.end))
    at = length.end
  }
  return fields
}

function fieldLength(
  message: Buffer,
  wireType: number,
  at: number,
): { start: number; end: number } | undefined {
  const value = wireType === 0 || wireType === 2 ? readVarint(message, at) : undefined
  switch (wireType) {
    case 0:
      return value && { start: at, end: value.next }
    case 1:
      return { start: at, end: at + 8 }
    case 2:
      return value && { start: value.next, end: value.next + value.value }
    case 5:
      return { start: at, end: at + 4 }
    default:
      return undefined
  }
}

function readVarint(bytes: Buffer, from: number): { value: number; next: number } | undefined {
  let value = 0
  for (let index = 0; index < 5; index += 1) {
    const byte = bytes[from + index]
    if (byte === undefined) return undefined
    value += (byte & 0x7f) * 2 ** (7 * index)
    if ((byte & 0x80) === 0) {
      return value > 0x7fffffff ? undefined : { value, next: from + index + 1 }
    }
  }
  return undefined
}
