import { sql } from 'kysely'
import type { Migration } from 'kysely/migration'

/** What searches look at: a fold of the log. */
export const search: Migration = {
  async up(db) {
    await sql`
      create table record (
        idx bigint primary key,
        producer_id uuid not null,
        audit_id text not null,
        stage text not null,
        user_name text not null,
        cluster text not null,
        namespace text not null,
        verb text not null,
        resource text not null,
        subresource text not null,
        decision text not null,
        received_at timestamptz not null,
        open boolean not null
      )`.execute(db)
    await sql`create index record_audit_id on record (audit_id)`.execute(db)
    await sql`create index record_user_name on record (user_name, idx)`.execute(db)
    await sql`create index record_cluster on record (cluster, idx)`.execute(db)
    await sql`create index record_received_at on record (received_at)`.execute(db)
    await sql`create index record_open on record (idx) where open`.execute(db)
    await sql`create index record_denied on record (idx) where decision = 'deny'`.execute(db)
  },
}
