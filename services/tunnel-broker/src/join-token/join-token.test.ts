import { given } from '@postern/eventing/testing'
import { test } from 'vitest'
import { type JoinTokenEvent, joinToken } from './join-token.ts'

const at = (time: string) => ({ by: 'agent:a1', now: new Date(time) })
const issued: JoinTokenEvent = {
  type: 'JoinTokenIssued',
  tokenId: 't1',
  clusterId: 'c1',
  tokenSha256: Buffer.alloc(32, 1),
  expiresAt: '2026-01-01T01:00:00.000Z',
}
const redeemed: JoinTokenEvent = { type: 'JoinTokenRedeemed', tokenId: 't1', agentId: 'a1' }

test('a join token lets one agent in', () => {
  given(joinToken, [issued])
    .when({ type: 'RedeemJoinToken', agentId: 'a1' }, at('2026-01-01T00:59:59Z'))
    .emits([redeemed])
})

test.each([
  { name: 'that was used', past: [issued, redeemed], time: '2026-01-01T00:10:00Z' },
  { name: 'that was never issued', past: [], time: '2026-01-01T00:10:00Z' },
  { name: 'in the moment it expires', past: [issued], time: '2026-01-01T01:00:00Z' },
])('a join token $name lets nobody in, with the same answer', ({ past, time }) => {
  given(joinToken, past)
    .when({ type: 'RedeemJoinToken', agentId: 'a2' }, at(time))
    .rejects('JOIN_TOKEN_INVALID')
})
