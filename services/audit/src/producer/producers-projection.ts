import type { Projection } from '@postern/eventing'
import type { AuditDatabase } from '../database.ts'
import type { ProducerEvent } from './producer.ts'

/** Who delivers records, and which of their records were lost. */
export const producers: Projection<AuditDatabase, ProducerEvent> = {
  name: 'producers',
  version: 1,
  tables: ['producer', 'spool_gap'],

  async apply(db, { stream, event, at }) {
    const id = stream.slice('producer-'.length)
    switch (event.type) {
      case 'ProducerRegistered': {
        const row = { id, name: event.producer, registered_at: at }
        await db.insertInto('producer').values(row).execute()
        return
      }
      case 'SpoolGapDetected': {
        const { first, last } = event
        const row = { producer_id: id, first, last, detected_at: at }
        await db.insertInto('spool_gap').values(row).execute()
      }
    }
  },
}
