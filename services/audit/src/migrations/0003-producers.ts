import { sql } from 'kysely'
import type { Migration } from 'kysely/migration'

/** Who delivers records, and which of their records were lost: a fold of the event log. */
export const producers: Migration = {
  async up(db) {
    await sql`
      create table producer (
        id uuid primary key,
        name text not null unique,
        registered_at timestamptz not null
      )`.execute(db)
    await sql`
      create table spool_gap (
        producer_id uuid not null,
        first bigint not null,
        last bigint not null check (last >= first),
        detected_at timestamptz not null,
        primary key (producer_id, first)
      )`.execute(db)
  },
}
