import { sql } from 'kysely'
import type { Migration } from 'kysely/migration'

/** Sessions, and when each was last used: activity is no event, and a rebuild leaves it alone. */
export const sessions: Migration = {
  async up(db) {
    await sql`
      create table sessions (
        session_id text primary key,
        user_id text not null,
        user_name text not null,
        cluster_id text not null,
        account text not null constraint sessions_account_once unique,
        state text not null check (state in ('opening', 'active', 'ending', 'ended')),
        version integer not null,
        bindings jsonb not null,
        provisioned integer not null,
        problem text not null,
        opened_at text not null,
        expires_at text not null,
        end_reason integer not null,
        pos bigint not null
      )`.execute(db)
    await sql`
      create unique index sessions_one_open on sessions (user_id, cluster_id)
      where state in ('opening', 'active')`.execute(db)
    await sql`create index sessions_by_cluster on sessions (cluster_id, pos)`.execute(db)
    await sql`create index sessions_live on sessions (state) where state <> 'ended'`.execute(db)
    await sql`
      create table activity (
        session_id text primary key,
        last_active_at timestamptz not null default now(),
        open_streams integer not null
      )`.execute(db)
  },
}
