import fc from 'fast-check'
import { expect, test } from 'vitest'
import { accountName } from './account-name.ts'

const randomness = fc.uint8Array({ minLength: 5, maxLength: 5 })

test('whatever the user is called, the account has a name that Kubernetes accepts', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.string(), randomness, (user, cluster, random) => {
      expect(accountName(user, cluster, random)).toMatch(/^ptr-[a-z2-7]{20}-[a-z2-7]{8}$/)
    }),
  )
})

test('two sessions of the same user on the same cluster have different accounts', () => {
  fc.assert(
    fc.property(randomness, randomness, (one, other) => {
      fc.pre(Buffer.compare(one, other) !== 0)
      expect(accountName('u', 'c', one)).not.toBe(accountName('u', 'c', other))
    }),
  )
})
