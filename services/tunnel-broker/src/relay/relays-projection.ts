import type { Projection } from '@postern/eventing'
import type { TunnelBrokerDatabase } from '../database.ts'
import type { TunnelBrokerEvent } from '../tunnel-broker-codec.ts'

/** Where every relay is. */
export const relaysProjection: Projection<TunnelBrokerDatabase, TunnelBrokerEvent> = {
  name: 'relays',
  version: 1,
  tables: ['relays'],

  async apply(db, { event }) {
    if (event.type !== 'RelayRegistered') return
    const { relayId: relay_id, agentAddress: agent_address } = event
    const where = { agent_address, gateway_address: event.gatewayAddress }
    await db
      .insertInto('relays')
      .values({ relay_id, ...where })
      .onConflict((conflict) => conflict.column('relay_id').doUpdateSet(where))
      .execute()
  },
}
