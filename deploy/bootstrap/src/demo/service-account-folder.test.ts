import { expect, test } from 'vitest'
import { refreshInMs } from './service-account-folder.ts'

const now = new Date('2026-01-01T00:00:00Z')
const encode = (claims: object) => Buffer.from(JSON.stringify(claims)).toString('base64url')
const token = (lifeSeconds: number) =>
  `${encode({ alg: 'none' })}.${encode({ exp: now.getTime() / 1000 + lifeSeconds })}.signature`

test.each([
  { lifeSeconds: 3600, inSeconds: 1800 },
  { lifeSeconds: 600, inSeconds: 300 },
  { lifeSeconds: 5, inSeconds: 10 },
  { lifeSeconds: -60, inSeconds: 10 },
])('a token of $lifeSeconds s is replaced after $inSeconds s', ({ lifeSeconds, inSeconds }) => {
  expect(refreshInMs(token(lifeSeconds), now)).toBe(inSeconds * 1000)
})

test('a token that does not say its end is not trusted to last', () => {
  expect(() => refreshInMs(`${encode({})}.${encode({})}.signature`, now)).toThrow('its end')
})
