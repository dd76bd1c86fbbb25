import fc from 'fast-check'
import { expect, test } from 'vitest'
import { retryDelayMs, untilRenewalMs } from './renewal.ts'
import { createTestAuthority } from './testing.ts'
import { staticTlsIdentity } from './tls-identity.ts'

const now = new Date('2026-01-01T00:00:00Z')
const authority = await createTestAuthority('test.internal', now)

test('a certificate is renewed around two thirds of its life, never at its end', async () => {
  const material = await authority.material('service/policy', { lifeSeconds: 86_400 })
  fc.assert(
    fc.property(fc.double({ min: 0, max: 1, noNaN: true }), (random) => {
      const hours = untilRenewalMs(material, now, random) / 3_600_000
      expect(hours).toBeGreaterThan(15)
      expect(hours).toBeLessThan(17)
    }),
  )
  expect(untilRenewalMs(material, new Date('2026-02-01T00:00:00Z'), 0.5)).toBe(0)
})

test('retries wait longer each time, and never longer than five minutes', () => {
  fc.assert(
    fc.property(fc.nat(10_000), fc.double({ min: 0, max: 1, noNaN: true }), (failures, random) => {
      const delay = retryDelayMs(failures, random)
      expect(delay).toBeGreaterThanOrEqual(500)
      expect(delay).toBeLessThanOrEqual(300_000)
    }),
  )
  expect(retryDelayMs(3, 1)).toBeGreaterThan(retryDelayMs(2, 1))
})

test('an identity never changes its name', async () => {
  const identity = staticTlsIdentity(await authority.material('gateway/g1'))
  const seen: Date[] = []
  const stop = identity.onRenewed(({ notAfter }) => seen.push(notAfter))
  const next = await authority.material('gateway/g1', { lifeSeconds: 7200 })
  identity.replace(next)
  expect(seen).toEqual([next.notAfter])
  const other = await authority.material('gateway/g2')
  expect(() => identity.replace(other)).toThrow('not spiffe://test.internal/gateway/g1')
  stop()
  identity.replace(await authority.material('gateway/g1'))
  expect(seen).toHaveLength(1)
})
