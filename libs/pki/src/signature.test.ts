import fc from 'fast-check'
import { beforeAll, expect, test } from 'vitest'
import { equalSecrets, newSecret, sha256 } from './secret.ts'
import { isSignedBy, type Signed, signAs } from './signature.ts'
import { createTestAuthority, type TestAuthority } from './testing.ts'

const now = new Date('2026-01-01T00:00:00Z')
const data = Buffer.from('an order')

let authority: TestAuthority
let signed: Signed

beforeAll(async () => {
  authority = await createTestAuthority('test.internal', now)
  signed = signAs(await authority.material('service/session'), data)
})

const expected = () => ({
  spiffeId: 'spiffe://test.internal/service/session',
  ca: authority.ca,
  at: now,
})

test('what the session service signed is signed by it, in 64 bytes', () => {
  expect(signed.signature).toHaveLength(64)
  expect(isSignedBy(signed, expected())).toBe(true)
})

test('another service with a good certificate cannot sign for it', async () => {
  const forged = signAs(await authority.material('gateway/g1'), data)
  expect(isSignedBy(forged, expected())).toBe(false)
  expect(isSignedBy({ ...forged, chain: signed.chain }, expected())).toBe(false)
})

test('neither a foreign root nor an expired certificate signs anything', async () => {
  const foreign = await createTestAuthority('test.internal', now)
  expect(isSignedBy(signed, { ...expected(), ca: foreign.ca })).toBe(false)
  expect(isSignedBy(signed, { ...expected(), at: new Date(now.getTime() + 3600_000) })).toBe(false)
})

test('one altered byte of the data or the signature is found', () => {
  fc.assert(
    fc.property(
      fc.constantFrom('data' as const, 'signature' as const),
      fc.nat(63),
      fc.integer({ min: 1, max: 255 }),
      (part, index, flip) => {
        const altered = Buffer.from(signed[part])
        const at = index % altered.length
        altered[at] = (altered[at] ?? 0) ^ flip
        expect(isSignedBy({ ...signed, [part]: altered }, expected())).toBe(false)
      },
    ),
  )
})

test('a missing chain or an endless signature is a no, not an error', () => {
  expect(isSignedBy({ ...signed, chain: [] }, expected())).toBe(false)
  expect(isSignedBy({ ...signed, signature: Buffer.alloc(100_000) }, expected())).toBe(false)
  expect(isSignedBy({ ...signed, signature: Buffer.alloc(0) }, expected())).toBe(false)
})

test('a secret is its prefix and 256 random bits, compared whole', () => {
  const secret = newSecret('ptk_')
  expect(secret).toMatch(/^ptk_[A-Za-z0-9_-]{43}$/)
  expect(newSecret('ptk_')).not.toBe(secret)
  expect(equalSecrets(secret, secret)).toBe(true)
  expect(equalSecrets(secret, `${secret}x`)).toBe(false)
  expect(equalSecrets(secret, '')).toBe(false)
  expect(sha256('a').toString('hex')).toMatch(/^ca978112/)
})
