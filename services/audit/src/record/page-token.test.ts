import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parsePageToken, toPageToken } from './page-token.ts'

const search = { user: 'alice', openOnly: false, ascending: true }
const refused = { reason: 'PAGE_TOKEN_INVALID' }

test('a page token leads back to where the page ended', () => {
  fc.assert(
    fc.property(fc.bigInt(0n, 10n ** 15n), fc.bigInt(1n, 10n ** 15n), (last, more) => {
      const position = { last, logSize: last + more }
      expect(parsePageToken(toPageToken(position, search), search)).toEqual(position)
    }),
  )
})

test('a page token of another search is refused', () => {
  const token = toPageToken({ last: 1n, logSize: 5n }, search)
  expect(() => parsePageToken(token, { ...search, user: 'bob' })).toThrow(
    expect.objectContaining(refused),
  )
  expect(() => parsePageToken(token, { ...search, ascending: false })).toThrow(
    expect.objectContaining(refused),
  )
})

test('no text whatever is taken for a page token, or breaks anything', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json().map(toBase64)), (text) => {
      expect(() => parsePageToken(text, search)).toThrow(expect.objectContaining(refused))
    }),
  )
  const ahead = toPageToken({ last: 9n, logSize: 5n }, search)
  expect(() => parsePageToken(ahead, search)).toThrow(expect.objectContaining(refused))
})

function toBase64(text: string): string {
  return Buffer.from(text).toString('base64url')
}
