import { expect, test } from 'vitest'
import { Rejection, rejections } from './rejection.ts'

const rejected = rejections({ NAME_TAKEN: ['already_exists', 'the name is taken'] })

test('a rejection has its reason, category, words and details, and no cause', () => {
  const rejection = rejected('NAME_TAKEN', { name: 'lead' })
  expect(rejection).toBeInstanceOf(Rejection)
  expect(rejection).toMatchObject({
    reason: 'NAME_TAKEN',
    category: 'already_exists',
    message: 'the name is taken',
    details: { name: 'lead' },
  })
  expect(rejection.cause).toBeUndefined()
})
