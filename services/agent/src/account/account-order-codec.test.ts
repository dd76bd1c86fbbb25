import { signAs } from '@postern/pki'
import { createTestAuthority } from '@postern/pki/testing'
import { AccountOrder } from '@postern/proto/postern/session/v1/session'
import fc from 'fast-check'
import { beforeAll, expect, test } from 'vitest'
import { openSignedOrder } from './account-order-codec.ts'

const SESSION = '01900000-0000-7000-8000-000000000001'
const at = new Date('2026-01-01T00:00:00Z')
type Signed = Parameters<typeof openSignedOrder>[0]
let authority: Awaited<ReturnType<typeof createTestAuthority>>
let sign: (order: AccountOrder) => Signed

beforeAll(async () => {
  authority = await createTestAuthority('test.internal', at)
  const material = await authority.material('service/session')
  sign = (order) => {
    const data = Buffer.from(AccountOrder.encode(order).finish())
    const { signature, chain } = signAs(material, data)
    return { order: data, signature: Buffer.from(signature), chain }
  }
})

const order: AccountOrder = {
  sessionId: SESSION,
  clusterId: 'c1',
  version: 3,
  wanted: true,
  account: 'ptr-abc-def',
  userId: 'u1',
  userName: 'alice',
  bindings: [{ clusterRole: 'postern-view', namespaces: ['red'] }],
  expiresAt: '2026-01-01T08:00:00.000Z',
}
const open = (signed: Signed, when = at) =>
  openSignedOrder(signed, {
    sessionSpiffeId: 'spiffe://test.internal/service/session',
    ca: authority.ca,
    clusterId: 'c1',
    at: when,
  })

test('an order of the session service is taken as it was written', () => {
  const { clusterId: _, expiresAt, ...rest } = order
  expect(open(sign(order))).toEqual({ ...rest, expiresAtMs: Date.parse(expiresAt ?? '') })
})

test('an order whose signer is no longer certified is refused', () => {
  const late = new Date(at.getTime() + 2 * 3_600_000)
  expect(() => open(sign(order), late)).toThrow(/not signed/)
})

test.each<[name: string, change: Partial<AccountOrder>]>([
  ['another cluster', { clusterId: 'c2' }],
  ['no session', { sessionId: '' }],
  ['version 0', { version: 0 }],
  ['an account that is not of a session', { account: 'default' }],
  ['an account that is a path', { account: 'ptr-a/../b' }],
  ['a role that is a path', { bindings: [{ clusterRole: '../x', namespaces: [] }] }],
  ['a namespace that is a path', { bindings: [{ clusterRole: 'x', namespaces: ['a/b'] }] }],
  ['no end', { expiresAt: undefined }],
])('an order with %s is refused though it is signed', (_, change) => {
  expect(() => open(sign({ ...order, ...change }))).toThrow(/order is/)
})

test('not one bit of an order or its signature may be another', () => {
  const signed = sign(order)
  fc.assert(
    fc.property(
      fc.constantFrom('order', 'signature'),
      fc.nat(),
      fc.nat({ max: 7 }),
      (part, at, bit) => {
        const bytes = Buffer.from(signed[part])
        const index = at % bytes.length
        bytes[index] = (bytes[index] ?? 0) ^ (1 << bit)
        expect(() => open({ ...signed, [part]: bytes })).toThrow(/not signed/)
      },
    ),
    { numRuns: 150 },
  )
})
