import { TokenIssued } from '@postern/proto/postern/identity/events/v1/events'
import { GrantCreated, GrantRevoked } from '@postern/proto/postern/policy/events/v1/events'
import { expect, test } from 'vitest'
import type { EventCodec } from './codec.ts'
import { eventCodec, upcast } from './event-codec.ts'

type Selector = { readonly clusterIds: readonly string[] }
type Terms = {
  readonly subjects: readonly { readonly kind: string; readonly id: string }[]
  readonly roleId: string
  readonly clusters: Selector
  readonly namespaces: { readonly all: boolean; readonly names: readonly string[] }
  readonly notAfter?: string
}
type Event =
  | { type: 'GrantCreated'; grantId: string; name: string; terms: Terms }
  | { type: 'GrantRevoked'; grantId: string; reason: string }

const codec: EventCodec<Event> = eventCodec('postern.policy.events.v1', {
  GrantCreated,
  GrantRevoked,
})

const created: Event = {
  type: 'GrantCreated',
  grantId: 'g1',
  name: 'ops',
  terms: {
    subjects: [{ kind: 'user', id: 'u1' }],
    roleId: 'r1',
    clusters: { clusterIds: ['c1'] },
    namespaces: { all: true, names: [] },
    notAfter: '2030-01-01T00:00:00.000Z',
  },
}

test('an event comes back as it was', () => {
  const encoded = codec.encode(created)
  expect(encoded.type).toBe('postern.policy.events.v1.GrantCreated')
  expect(codec.decode(encoded)).toStrictEqual(created)
})

test('the bytes of a released event never change', () => {
  expect(Buffer.from(codec.encode(created).data).toString('hex')).toBe(
    '0a02673112036f70731a220a0a0a047573657212027531120272311a040a0263312202080132060880b1ef8607',
  )
})

test('bytes and moments come back as they were', () => {
  type Issued = {
    type: 'TokenIssued'
    tokenId: string
    userId: string
    tokenSha256: Uint8Array
    description: string
    expiresAt: string
  }
  const tokens: EventCodec<Issued> = eventCodec('postern.identity.events.v1', { TokenIssued })
  const issued: Issued = {
    type: 'TokenIssued',
    tokenId: 't1',
    userId: 'u1',
    tokenSha256: Buffer.from([0, 255, 1]),
    description: '',
    expiresAt: '2030-01-01T00:00:00.123Z',
  }
  expect(tokens.decode(tokens.encode(issued))).toStrictEqual(issued)
})

test('an event of another package, or one that this version does not know, is undefined', () => {
  const { data } = codec.encode(created)
  const types = ['postern.identity.events.v1.GrantCreated', 'postern.policy.events.v1.GrantMoved']
  for (const type of types) expect(codec.decode({ type, schemaVer: 1, data })).toBeUndefined()
})

test('an event that is not in the codec, or has a field that its message lacks, is not written', () => {
  const loose: { encode: (event: never) => unknown } = codec
  const unknown = { type: 'GrantMoved' } as never
  expect(() => loose.encode(unknown)).toThrow(/no event GrantMoved/)
  const stray = { type: 'GrantRevoked', grantId: 'g1', reason: '', why: 'x' } as never
  expect(() => loose.encode(stray)).toThrow(/no field why/)
})

test('an old shape is read as the event of today', () => {
  const type = 'postern.policy.events.v0.GrantEnded'
  const reading = eventCodec(
    'postern.policy.events.v1',
    { GrantRevoked },
    {
      upcasters: {
        [type]: upcast(GrantRevoked, ({ grantId }) => ({
          type: 'GrantRevoked',
          grantId,
          reason: 'ended before reasons were kept',
        })),
      },
    },
  )
  const data = GrantRevoked.encode({ grantId: 'g1', reason: '' }).finish()
  expect(reading.decode({ type, schemaVer: 1, data })).toStrictEqual({
    type: 'GrantRevoked',
    grantId: 'g1',
    reason: 'ended before reasons were kept',
  })
})

test('shapes that differ from the message do not compile', () => {
  type Fewer = { type: 'GrantRevoked'; grantId: string }
  // @ts-expect-error -- the message has a reason
  const fewer: EventCodec<Fewer> = eventCodec('p', { GrantRevoked })
  type More = { type: 'GrantRevoked'; grantId: string; reason: string; by: string }
  // @ts-expect-error -- the message has no `by`
  const more: EventCodec<More> = eventCodec('p', { GrantRevoked })
  type Other = { type: 'GrantRevoked'; grantId: string; reason: number }
  // @ts-expect-error -- the reason is a string
  const other: EventCodec<Other> = eventCodec('p', { GrantRevoked })
  type Two = Event | { type: 'GrantPaused'; grantId: string }
  // @ts-expect-error -- one event has no message
  const two: EventCodec<Two> = eventCodec('p', { GrantCreated, GrantRevoked })
  expect([fewer, more, other, two]).toHaveLength(4)
})
