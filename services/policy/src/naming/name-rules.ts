import { rejections } from '@postern/errors'
import { isId } from '@postern/ids'

const rejected = rejections({
  INVALID_NAME: [
    'invalid_argument',
    'a name is a DNS label: 1 to 63 lower-case letters, digits and "-", with a letter or digit at both ends, and does not have the form of an id',
  ],
  INVALID_TEXT: [
    'invalid_argument',
    'a description or reason has at most 500 characters and no control characters',
  ],
})

const DNS_LABEL = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/
const TEXT_CHARACTERS_MAX = 500

/** @throws Rejection INVALID_NAME */
export function checkName(name: string): void {
  if (!DNS_LABEL.test(name) || isId(name)) throw rejected('INVALID_NAME')
}

/** @throws Rejection INVALID_TEXT */
export function checkText(text: string): void {
  if (text.length > TEXT_CHARACTERS_MAX || /\p{Cc}|\p{Cs}/u.test(text)) {
    throw rejected('INVALID_TEXT')
  }
}
