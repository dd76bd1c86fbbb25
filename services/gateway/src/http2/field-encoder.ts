import { NAMES_REMEMBERED, rememberTexts } from '@postern/kube-http'
import { STATIC_TABLE } from './static-table.ts'

/*
 * What is written names the static table only and is never to be indexed by the reader, so that nothing
 * has to be kept for a connection. Texts are one character a byte, to be written as latin1.
 */

const STATUS_INDEX = 8
/** A name has 4 bits of its first byte, a length 7 (RFC 7541, 5.1). */
const NAME_MASK = 0x0f
const LENGTH_MASK = 0x7f

/**
 * Says that our side keeps no table (RFC 7541, 6.3): once, at the beginning of the first field block of a
 * connection.
 */
export const NO_TABLE = '\x20'

const knownStatuses = new Map<number, string>()
const knownNames = new Map<string, number>()
for (const [at, [name, value]] of STATIC_TABLE.entries()) {
  const index = at + 1
  if (name === ':status') knownStatuses.set(Number(value), String.fromCharCode(0x80 | index))
  if (!knownNames.has(name)) knownNames.set(name, index)
}

/** `:status`, of three digits, indexed where the static table has it. One character a byte. */
export function encodeStatus(status: number): string {
  return knownStatuses.get(status) ?? `${String.fromCharCode(STATUS_INDEX)}\x03${status}`
}

/**
 * A literal without indexing (RFC 7541, 6.2.2), its name from the static table where it is there. Name in
 * lower case; one character a byte.
 */
export function encodeField(name: string, value: string): string {
  return encodedName(name) + encodeInteger(value.length, LENGTH_MASK) + value
}

const encodedName = rememberTexts(encodeName, NAMES_REMEMBERED)

function encodeName(name: string): string {
  const index = knownNames.get(name)
  if (index !== undefined) return encodeInteger(index, NAME_MASK)
  return `\x00${encodeInteger(name.length, LENGTH_MASK)}${name}`
}

function encodeInteger(value: number, mask: number): string {
  if (value < mask) return String.fromCharCode(value)
  let encoded = String.fromCharCode(mask)
  let rest = value - mask
  while (rest > LENGTH_MASK) {
    encoded += String.fromCharCode(0x80 | (rest & LENGTH_MASK))
    rest >>>= 7
  }
  return encoded + String.fromCharCode(rest)
}
