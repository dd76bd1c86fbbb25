import { expect, test } from 'vitest'
import { checkText } from './request-text.ts'

test.each([
  { name: 'a field', request: { grant: '\0' } },
  { name: 'the middle of a long text', request: { reason: `${'a'.repeat(5000)}\0b` } },
  { name: 'a message in a message', request: { terms: { namespaces: { names: ['a', 'b\0'] } } } },
  { name: 'a list of messages', request: { rules: [{ verbs: ['get'] }, { verbs: ['\0'] }] } },
  { name: 'the value of a map', request: { labels: { env: 'a\0' } } },
  { name: 'the key of a map', request: { labels: { 'env\0': 'a' } } },
])('a NUL in $name is refused', ({ request }) => {
  expect(() => checkText(request)).toThrow(expect.objectContaining({ reason: 'NUL_IN_TEXT' }))
})

test.each([
  { name: 'no field', request: {} },
  { name: 'every other character', request: { name: '\u0001\u007f\uffff\u{10ffff}', page: 0 } },
  { name: 'bytes, which are no text', request: { csr: Buffer.from([0, 0]), at: new Date(0) } },
  { name: 'what is not there', request: { terms: undefined, reason: null } },
])('a request with $name is not', ({ request }) => {
  expect(() => checkText(request)).not.toThrow()
})
