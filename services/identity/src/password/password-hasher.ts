import { randomBytes } from 'node:crypto'
import { hash, type Options, verify } from '@node-rs/argon2'
import { rejections } from '@postern/errors'

const rejected = rejections({
  PASSWORD_CHECKS_BUSY: ['resource_exhausted', 'too many people sign in just now; try again'],
})

/** OWASP's argon2id setting: 19 MiB, two passes. 2 is argon2id; the library's enum cannot be imported. */
const ARGON2ID: Options = { algorithm: 2, memoryCost: 19 * 1024, timeCost: 2, parallelism: 1 }
const AT_ONCE_MAX = 2
const WAITING_MAX = 64
const CHARACTERS_MAX = 1024

export type PasswordHasher = {
  /** @throws Rejection PASSWORD_CHECKS_BUSY */
  hash(password: string): Promise<string>
  /** Takes as long when there is no hash to compare with. @throws Rejection PASSWORD_CHECKS_BUSY */
  isRight(password: string, passwordHash: string | undefined): Promise<boolean>
}

/** Hashes a few passwords at a time, off the event loop; a bounded number wait. */
export async function createPasswordHasher(): Promise<PasswordHasher> {
  const hashOfNobody = await hash(randomBytes(32), ARGON2ID)
  const inTurn = createQueue()
  // The same characters typed on two keyboards can differ in their code points.
  const normal = (password: string) => password.slice(0, CHARACTERS_MAX).normalize('NFKC')
  return {
    hash: async (password) => await inTurn(() => hash(normal(password), ARGON2ID)),
    async isRight(password, passwordHash) {
      const isEqual = await inTurn(() => verify(passwordHash ?? hashOfNobody, normal(password)))
      return isEqual && passwordHash !== undefined && password.length <= CHARACTERS_MAX
    },
  }
}

function createQueue() {
  const waiting: (() => void)[] = []
  let running = 0
  return async <T>(work: () => Promise<T>): Promise<T> => {
    if (running < AT_ONCE_MAX) running += 1
    else if (waiting.length >= WAITING_MAX) throw rejected('PASSWORD_CHECKS_BUSY')
    else await new Promise<void>((resolve) => waiting.push(resolve))
    try {
      return await work()
    } finally {
      const next = waiting.shift()
      if (next === undefined) running -= 1
      // The place is handed on, so nobody can slip in between.
      else next()
    }
  }
}
