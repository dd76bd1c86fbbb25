import { sql } from 'kysely'
import type { Migration } from 'kysely/migration'

/** What changed last is asked for again and again, among all sessions that there ever were. */
export const sessionsByPosition: Migration = {
  async up(db) {
    await sql`create index sessions_by_position on sessions (pos)`.execute(db)
  },
}
