import { rejections } from '@postern/errors'

const rejected = rejections({
  INVALID_PASSWORD: ['invalid_argument', 'a password has 12 to 256 characters'],
})

const CHARACTERS_MIN = 12
const CHARACTERS_MAX = 256

/** Length is what counts (NIST SP 800-63B section 3.1.1.2). @throws Rejection INVALID_PASSWORD */
export function checkPassword(password: string): void {
  const { length } = Array.from(password.slice(0, 2 * CHARACTERS_MAX + 1))
  if (length < CHARACTERS_MIN || length > CHARACTERS_MAX) throw rejected('INVALID_PASSWORD')
}
