import { beforeAll, expect, test } from 'vitest'
import { createPasswordHasher, type PasswordHasher } from './password-hasher.ts'
import { checkPassword } from './password-rules.ts'

let hasher: PasswordHasher
beforeAll(async () => {
  hasher = await createPasswordHasher()
})

test('the right password is right, also typed on another keyboard, and nothing else is', async () => {
  const passwordHash = await hasher.hash('correct horse \u00e9')
  expect(passwordHash).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/)
  expect(await hasher.isRight('correct horse e\u0301', passwordHash)).toBe(true)
  expect(await hasher.isRight('correct horse e', passwordHash)).toBe(false)
  expect(await hasher.isRight('', passwordHash)).toBe(false)
})

test('no password is right for someone who has none', async () => {
  expect(await hasher.isRight('', undefined)).toBe(false)
  expect(await hasher.isRight('correct horse', undefined)).toBe(false)
})

test('a longer text that begins with a password of the largest length is not that password', async () => {
  const longest = 'a'.repeat(1024)
  const passwordHash = await hasher.hash(longest)
  expect(await hasher.isRight(`${longest}b`, passwordHash)).toBe(false)
})

test('a flood of checks is refused instead of kept', async () => {
  const flood = Array.from({ length: 80 }, () => hasher.isRight('x', undefined))
  const results = await Promise.allSettled(flood)
  const busy = results.filter(({ status }) => status === 'rejected')
  expect(busy.length).toBe(80 - 66)
  expect(await hasher.isRight('x', undefined)).toBe(false)
})

test.each([
  '',
  'short',
  'a'.repeat(11),
  '\u{1f511}'.repeat(11),
  'a'.repeat(257),
  'a'.repeat(100_000),
])('a password of the wrong length is refused', (password) => {
  expect(() => checkPassword(password)).toThrow(
    expect.objectContaining({ reason: 'INVALID_PASSWORD' }),
  )
})

test.each(['a'.repeat(12), '\u{1f511}'.repeat(256)])(
  'a long enough password is taken',
  (password) => {
    expect(() => checkPassword(password)).not.toThrow()
  },
)
