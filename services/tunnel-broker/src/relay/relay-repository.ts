import type { Actor, EventStore } from '@postern/eventing'
import type { Kysely } from 'kysely'
import type { TunnelBrokerDatabase } from '../database.ts'
import type { TunnelBrokerEvent } from '../tunnel-broker-codec.ts'
import { type RelayCommand, relay } from './relay.ts'

export type RelayRepository = ReturnType<typeof createRelayRepository>

export function createRelayRepository(needs: {
  db: Kysely<TunnelBrokerDatabase>
  store: EventStore<TunnelBrokerDatabase, TunnelBrokerEvent>
}) {
  const { db, store } = needs
  return {
    /** @throws Rejection */
    async execute(command: RelayCommand, actor: Actor): Promise<void> {
      await store.execute({ stream: `relay-${command.relayId}`, decider: relay, command, actor })
    },

    /** Where agents find the relays, sorted. */
    async agentAddresses(): Promise<string[]> {
      const rows = await db
        .selectFrom('relays')
        .select('agent_address')
        .orderBy('relay_id')
        .execute()
      return rows.map((row) => row.agent_address)
    },
  }
}
