import { sql } from 'kysely'
import type { Migration } from 'kysely/migration'

/** Few intents are open, and each outcome is looked for among them. */
export const openIntents: Migration = {
  async up(db) {
    await sql`create index record_open_audit_id on record (audit_id) where open`.execute(db)
  },
}
