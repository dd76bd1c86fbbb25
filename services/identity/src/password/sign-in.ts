import { rejections } from '@postern/errors'
import type { Signals } from '../signals.ts'
import type { UserRepository } from '../user/user-repository.ts'
import type { AttemptLimits } from './attempt-limits.ts'
import type { PasswordHasher } from './password-hasher.ts'

const rejected = rejections({
  SIGN_IN_REFUSED: ['unauthenticated', 'the name or the password is wrong'],
})

type Needs = {
  users: Pick<UserRepository, 'findByName' | 'passwordHash'>
  hasher: Pick<PasswordHasher, 'isRight'>
  limits: AttemptLimits
  signals: Pick<Signals, 'signInRefused'>
  now: () => Date
}

export type SignIn = (name: string, password: string) => Promise<Known>
/** Who signed in, and the hash of the password that was right just now. */
type Known = { userId: string; passwordHash: string }

/**
 * Checks a name and a password. A wrong name, a wrong password and a disabled user are one answer,
 * after the same work.
 */
export function createSignIn({ users, hasher, limits, signals, now }: Needs): SignIn {
  return async (name, password) => {
    const attempt = limits.begin(name, now())
    // An id is not a name: ids are no secrets to be tried in its place.
    const found = await users.findByName(name)
    const passwordHash = await users.passwordHash(found?.user_id ?? '')
    const isRight = await hasher.isRight(password, passwordHash)
    if (found === undefined || passwordHash === undefined || found.disabled || !isRight) {
      signals.signInRefused({ userId: found?.user_id })
      throw rejected('SIGN_IN_REFUSED')
    }
    attempt.succeeded()
    return { userId: found.user_id, passwordHash }
  }
}
