import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'

/** A new secret of 256 random bits: the prefix and 43 characters of base64url. */
export function newSecret(prefix: string): string {
  return prefix + randomBytes(32).toString('base64url')
}

/** What is stored and looked up instead of a secret. */
export function sha256(secret: string | Uint8Array): Buffer {
  return createHash('sha256').update(secret).digest()
}

/** Compares in a time that does not depend on where they differ. */
export function equalSecrets(left: string | Uint8Array, right: string | Uint8Array): boolean {
  return timingSafeEqual(sha256(left), sha256(right))
}
