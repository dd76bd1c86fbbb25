import { expect, test } from 'vitest'
import { identityStep, joinTokenHash, type StoredIdentity } from './stored-identity.ts'

const stored: StoredIdentity = {
  material: { cert: '', key: '', ca: '', notAfter: new Date() },
  joinTokenSha256: joinTokenHash('used'),
  relays: [],
}

test.each([
  { name: 'nothing at all', identity: undefined, token: undefined, step: 'nothing' },
  { name: 'a token', identity: undefined, token: 'new', step: 'join' },
  { name: 'a certificate', identity: stored, token: undefined, step: 'use' },
  { name: 'the token that it came from', identity: stored, token: 'used', step: 'use' },
  { name: 'a token of another join', identity: stored, token: 'new', step: 'join-or-use' },
])('with $name an agent takes the step $step', ({ identity, token, step }) => {
  expect(identityStep(identity, token)).toBe(step)
})
