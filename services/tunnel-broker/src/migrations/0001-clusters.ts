import { sql } from 'kysely'
import type { Migration } from 'kysely/migration'

/** Clusters and all that belongs to one; the status of agents is no event. */
export const clusters: Migration = {
  async up(db) {
    await sql`
      create table clusters (
        cluster_id text primary key,
        name text not null,
        labels jsonb not null,
        install_level integer not null,
        removed boolean not null
      )`.execute(db)
    await sql`create unique index clusters_name on clusters (name) where not removed`.execute(db)
    await sql`
      create table agents (
        agent_id text primary key,
        cluster_id text not null,
        joined_at text not null
      )`.execute(db)
    await sql`create index agents_by_cluster on agents (cluster_id)`.execute(db)
    await sql`
      create table namespaces (
        cluster_id text not null,
        name text not null,
        labels jsonb not null,
        primary key (cluster_id, name)
      )`.execute(db)
    await sql`
      create table join_tokens (
        token_id text primary key,
        cluster_id text not null,
        token_sha256 bytea not null unique,
        expires_at text not null,
        redeemed boolean not null
      )`.execute(db)
    await sql`
      create table relays (
        relay_id text primary key,
        agent_address text not null,
        gateway_address text not null
      )`.execute(db)
    await sql`
      create table agent_status (
        agent_id text primary key,
        version text not null,
        kubernetes_version text not null,
        problems jsonb not null,
        last_seen_at timestamptz not null
      )`.execute(db)
  },
}
