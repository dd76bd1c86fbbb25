import { createHash } from 'node:crypto'

const ALPHABET = 'abcdefghijklmnopqrstuvwxyz234567'
const OWNER_CHARACTERS = 20
const ONCE_CHARACTERS = 8

/**
 * The name of a session's ServiceAccount: a DNS-1123 label that shows which sessions belong to the
 * same user and cluster without naming either, and that is never used again. The randomness makes
 * the last part; a name that came back would inherit the bindings left by its former bearer.
 */
export function accountName(userId: string, clusterId: string, randomness: Uint8Array): string {
  const owner = createHash('sha256').update(`${userId}|${clusterId}`).digest()
  return `ptr-${base32(owner, OWNER_CHARACTERS)}-${base32(randomness, ONCE_CHARACTERS)}`
}

/** RFC 4648 base32, lower case, without padding. */
function base32(bytes: Uint8Array, characters: number): string {
  let text = ''
  let bits = 0
  let held = 0
  for (const byte of bytes) {
    held = (held << 8) | byte
    bits += 8
    while (bits >= 5 && text.length < characters) {
      bits -= 5
      text += ALPHABET[(held >>> bits) & 31] ?? ''
    }
    held &= (1 << bits) - 1
  }
  if (text.length < characters) throw new RangeError('too few bytes for an account name')
  return text
}
