import { rejections } from '@postern/errors'
import { isId } from '@postern/ids'

const rejected = rejections({
  INVALID_NAME: [
    'invalid_argument',
    'a name has 1 to 253 letters, digits and "._@+-", at least one of them a letter or digit, and does not have the form of an id',
  ],
  INVALID_TEXT: [
    'invalid_argument',
    'a display name, description or reason has at most 500 characters and no control characters',
  ],
})

const NAME = /^[A-Za-z0-9._@+-]{1,253}$/
const TEXT_CHARACTERS_MAX = 500

/**
 * Names stand in URLs, in tables and in audit records. One that looked like an id could be taken for
 * another user; `.` and `..` mean something else in a path.
 *
 * @throws Rejection INVALID_NAME
 */
export function checkName(name: string): void {
  if (!NAME.test(name) || !/[A-Za-z0-9]/.test(name) || isId(name)) throw rejected('INVALID_NAME')
}

/** @throws Rejection INVALID_TEXT */
export function checkText(text: string): void {
  if (text.length > TEXT_CHARACTERS_MAX || /\p{Cc}|\p{Cs}/u.test(text)) {
    throw rejected('INVALID_TEXT')
  }
}
