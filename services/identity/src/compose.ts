import type { Composed, Runtime } from '@postern/service'
import { openCertificateAuthority } from './adapters/certificate-authority.ts'
import { createCertificateRpc } from './certificate/certificate-rpc.ts'
import type { IdentityConfig } from './config.ts'
import type { IdentityDatabase } from './database.ts'
import { createGroupRepository } from './group/group-repository.ts'
import { createGroupRpc } from './group/group-rpc.ts'
import type { IdentityEvent } from './identity-event.ts'
import { createAttemptLimits } from './password/attempt-limits.ts'
import { createPasswordHasher } from './password/password-hasher.ts'
import { createSignIn } from './password/sign-in.ts'
import { createSetupRepository } from './setup/setup-repository.ts'
import { createSignals } from './signals.ts'
import { createTokenRepository } from './token/token-repository.ts'
import { createAuthenticateUser, createTokenRpc } from './token/token-rpc.ts'
import { createUserRepository } from './user/user-repository.ts'
import { createUserRpc } from './user/user-rpc.ts'

/** Called with the one-time set-up token at a start at which set-up is open: the only copy there is. */
export type OnSetupToken = (setupToken: string) => void

export async function composeIdentity(
  runtime: Runtime<IdentityConfig, IdentityDatabase, IdentityEvent>,
  onSetupToken: OnSetupToken,
): Promise<Composed> {
  const { config, trustDomain, db, store, now } = runtime
  const signals = createSignals(runtime.log)
  const authority = await openCertificateAuthority({ dir: config.caDir, now })
  const hasher = await createPasswordHasher()
  const limits = createAttemptLimits()
  const users = createUserRepository({ store, db, now })
  const groups = createGroupRepository({ store, db })
  const tokens = createTokenRepository({ store, db, now })
  const setups = createSetupRepository({ store, db, users, groups, now })
  const signIn = createSignIn({ users, hasher, limits, signals, now })

  return {
    rpc: [
      createUserRpc({ users, hasher, limits, now }),
      createGroupRpc({ groups, users }),
      createTokenRpc({ tokens, users, setups, signIn, hasher, signals }),
      createCertificateRpc({ authority, trustDomain }),
    ],
    authenticateUser: createAuthenticateUser(tokens),
    async start() {
      const setupToken = await setups.makeToken()
      if (setupToken === undefined) return
      signals.setupTokenMade()
      onSetupToken(setupToken)
    },
  }
}
