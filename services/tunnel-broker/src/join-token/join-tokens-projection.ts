import type { Projection } from '@postern/eventing'
import type { TunnelBrokerDatabase } from '../database.ts'
import type { TunnelBrokerEvent } from '../tunnel-broker-codec.ts'

/** Join tokens by the hash of their secret. */
export const joinTokensProjection: Projection<TunnelBrokerDatabase, TunnelBrokerEvent> = {
  name: 'join-tokens',
  version: 1,
  tables: ['join_tokens'],

  async apply(db, { event }) {
    if (event.type === 'JoinTokenIssued') {
      const row = {
        token_id: event.tokenId,
        cluster_id: event.clusterId,
        token_sha256: Buffer.from(event.tokenSha256),
        expires_at: event.expiresAt,
        redeemed: false,
      }
      await db.insertInto('join_tokens').values(row).execute()
    } else if (event.type === 'JoinTokenRedeemed') {
      const row = db.updateTable('join_tokens').where('token_id', '=', event.tokenId)
      await row.set({ redeemed: true }).execute()
    }
  },
}
