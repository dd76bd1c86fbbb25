import { sha256, type TlsMaterial } from '@postern/pki'

/** What an agent keeps of itself, so that a restart needs no new join token. */
export type StoredIdentity = {
  readonly material: TlsMaterial
  /** Which join token it came from: a hash. */
  readonly joinTokenSha256: string
  /** Where relays were last, beside those of the settings. */
  readonly relays: readonly string[]
}

/** What to do at start. */
export type IdentityStep = 'use' | 'join' | 'join-or-use' | 'nothing'

/**
 * `stored` is valid now. A join token that was not used yet wins over what is stored, for the cluster may have been joined
 * anew; if it is refused the stored certificate is as good as before.
 */
export function identityStep(
  stored: StoredIdentity | undefined,
  joinToken: string | undefined,
): IdentityStep {
  const isNew = joinToken !== undefined && joinTokenHash(joinToken) !== stored?.joinTokenSha256
  if (isNew) return stored === undefined ? 'join' : 'join-or-use'
  return stored === undefined ? 'nothing' : 'use'
}

export const joinTokenHash = (joinToken: string): string => sha256(joinToken).toString('hex')
