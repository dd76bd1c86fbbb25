import { given, play } from '@postern/eventing/testing'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type TokenCommand, type TokenEvent, token } from './token.ts'

const now = new Date('2026-01-01T00:00:00Z')
const at = { by: 'user:root', now }
const issue: TokenCommand & { type: 'IssueToken' } = {
  type: 'IssueToken',
  tokenId: '01900000-0000-7000-8000-000000000001',
  userId: '01900000-0000-7000-8000-000000000002',
  tokenSha256: Buffer.alloc(32, 1),
  description: 'laptop',
}
const { tokenId } = issue
const issued = (expiresAt: string): TokenEvent => {
  const { userId, tokenSha256, description } = issue
  return { type: 'TokenIssued', tokenId, userId, tokenSha256, description, expiresAt }
}
const revoke: TokenCommand = { type: 'RevokeToken', reason: 'lost' }
const revoked: TokenEvent = { type: 'TokenRevoked', tokenId, reason: 'lost' }

test('a token lives twelve hours unless it is asked to live less', () => {
  given(token, [])
    .when(issue, at)
    .emits([issued('2026-01-01T12:00:00.000Z')])
  given(token, [])
    .when({ ...issue, lifetimeSeconds: 60 }, at)
    .emits([issued('2026-01-01T00:01:00.000Z')])
})

test('a token does not outlive the token that asked for it', () => {
  const endsWith = new Date('2026-01-01T01:00:00Z')
  given(token, [])
    .when({ ...issue, endsWith }, at)
    .emits([issued('2026-01-01T01:00:00.000Z')])
  given(token, [])
    .when({ ...issue, endsWith, lifetimeSeconds: 60 }, at)
    .emits([issued('2026-01-01T00:01:00.000Z')])
})

test.each([0, -1, 43_201, Number.NaN, Number.POSITIVE_INFINITY])(
  'a lifetime of %d seconds is refused',
  (lifetimeSeconds) => {
    given(token, [])
      .when({ ...issue, lifetimeSeconds }, at)
      .rejects('TOKEN_LIFETIME_OUT_OF_RANGE')
  },
)

test('a token is revoked once; again, or after its end, changes nothing', () => {
  const live = issued('2026-01-01T12:00:00.000Z')
  given(token, [live]).when(revoke, at).emits([revoked])
  given(token, [live, revoked]).when(revoke, at).emits([])
  given(token, [live])
    .when(revoke, { ...at, now: new Date('2026-01-01T12:00:00Z') })
    .emits([])
})

test('an unknown token cannot be revoked, and one cannot be issued twice', () => {
  given(token, []).when(revoke, at).rejects('TOKEN_NOT_FOUND')
  given(token, [issued('2026-01-01T12:00:00.000Z')])
    .when(issue, at)
    .rejects('TOKEN_EXISTS')
})

test('whatever is asked in whatever order, a token is issued once and never comes back', () => {
  const command = fc.constantFrom<TokenCommand[]>(issue, { ...issue, lifetimeSeconds: 5 }, revoke)
  const wait = fc.record({ command, seconds: fc.nat(10) })
  fc.assert(
    fc.property(fc.array(wait, { maxLength: 30 }), (waits) => {
      let time = now.getTime()
      const orders = waits.map(({ command: each, seconds }) => {
        time += seconds * 1000
        return { command: each, context: { by: 'x', now: new Date(time) } }
      })
      const types = play(token, orders).flatMap(({ events }) => events.map(({ type }) => type))
      expect([[], ['TokenIssued'], ['TokenIssued', 'TokenRevoked']]).toContainEqual(types)
    }),
  )
})
