import { EventEmitter, once } from 'node:events'
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
  const changes = new EventEmitter().setMaxListeners(0)
  return {
    /** @throws Rejection */
    async execute(command: RelayCommand, actor: Actor): Promise<void> {
      await store.execute({ stream: `relay-${command.relayId}`, decider: relay, command, actor })
      changes.emit('change')
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

    /** Resolves at the next change, or when the time is up: look again either way. */
    async changed(timeoutMs: number, signal: AbortSignal): Promise<void> {
      const deadline = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)])
      await once(changes, 'change', { signal: deadline }).catch(() => {})
    },
  }
}
