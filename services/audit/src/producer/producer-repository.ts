import type { Actor, EventStore } from '@postern/eventing'
import { type Kysely, sql, type Transaction } from 'kysely'
import type { AuditDatabase } from '../database.ts'
import { type ProducerEvent, producer } from './producer.ts'
import type { ProducerKey } from './producer-id.ts'

export type ProducerRepository = ReturnType<typeof createProducerRepository>

export function createProducerRepository(store: EventStore<AuditDatabase, ProducerEvent>) {
  return {
    /**
     * Records what a delivery says about its producer, in one transaction with what is written for
     * it: neither is there without the other.
     */
    async takeDelivery(
      delivery: { producer: ProducerKey; first: bigint; stored: bigint; actor: Actor },
      write: (db: Transaction<AuditDatabase>) => Promise<void>,
    ): Promise<void> {
      const { first, stored, actor } = delivery
      await store.execute({
        stream: `producer-${delivery.producer.id}`,
        decider: producer,
        command: { type: 'TakeDelivery', producer: delivery.producer.name, first, stored },
        actor,
        guard: write,
      })
    },
  }
}

export type ProducerState = { readonly registered: boolean; readonly stored: bigint }

/** By producer: whether it is known, and the number of its last stored record. */
export async function readProducerStates(
  db: Kysely<AuditDatabase>,
  ids: readonly string[],
): Promise<ReadonlyMap<string, ProducerState>> {
  const { rows } = await sql<{ id: string; registered: boolean; stored: string }>`
    select wanted.id::text as id,
      exists (select from producer where producer.id = wanted.id) as registered,
      coalesce((
        select last_number from producer_run where producer_id = wanted.id
        order by first_number desc limit 1), 0)::text as stored
    from unnest(${ids}::uuid[]) as wanted (id)`.execute(db)
  return new Map(
    rows.map(({ id, registered, stored }) => [id, { registered, stored: BigInt(stored) }]),
  )
}
