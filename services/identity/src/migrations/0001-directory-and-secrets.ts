import { sql } from 'kysely'
import type { Migration } from 'kysely/migration'

/** Names are unique whatever their case: "Alice" beside "alice" would only help an impostor. */
export const directoryAndSecrets: Migration = {
  async up(db) {
    await sql`
      create table users (
        user_id text primary key,
        name text not null,
        display_name text not null,
        kind smallint not null,
        disabled boolean not null,
        created_at timestamptz not null
      )`.execute(db)
    await sql`create unique index users_name_unique on users (lower(name))`.execute(db)
    await sql`
      create table groups (
        group_id text primary key,
        name text not null,
        platform_role smallint not null
      )`.execute(db)
    await sql`create unique index groups_name_unique on groups (lower(name))`.execute(db)
    await sql`
      create table group_members (
        group_id text not null,
        user_id text not null,
        primary key (group_id, user_id),
        constraint group_members_group_exists foreign key (group_id) references groups on delete cascade,
        constraint group_members_user_exists foreign key (user_id) references users on delete cascade
      )`.execute(db)
    await sql`create index group_members_by_user on group_members (user_id)`.execute(db)
    await sql`
      create table tokens (
        token_id text primary key,
        user_id text not null,
        token_sha256 bytea not null,
        description text not null,
        issued_at timestamptz not null,
        expires_at timestamptz not null,
        constraint tokens_secret_unique unique (token_sha256),
        constraint tokens_user_exists foreign key (user_id) references users on delete cascade
      )`.execute(db)
    await sql`create index tokens_by_user on tokens (user_id)`.execute(db)
    await sql`create index tokens_by_end on tokens (expires_at)`.execute(db)
    await sql`
      create table credentials (
        user_id text primary key,
        password_hash text not null,
        set_at timestamptz not null
      )`.execute(db)
    await sql`
      create table setup_tokens (
        token_sha256 bytea not null,
        user_id text not null,
        group_id text not null,
        made_at timestamptz not null
      )`.execute(db)
    await sql`create unique index setup_tokens_only_one on setup_tokens ((true))`.execute(db)
  },
}
