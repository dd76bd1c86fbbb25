import { sql } from 'kysely'
import type { Executor } from './database.ts'
import { schemaOf } from './names.ts'

/**
 * For an administrator's connection, once per service, before its first start: the schema and the log's
 * tables belong to the administrator, and the service's role may insert and select events, nothing
 * else. May be run again. A service whose role owns its database does without: it makes the same
 * tables itself, and then only the trigger holds.
 */
export function provisionLogSql({ service, role }: { service: string; role: string }): string {
  const schema = schemaOf(service)
  if (!/^[a-z][a-z0-9_]{0,62}$/.test(role)) throw new Error(`"${role}" is not a role's name`)
  return [
    'begin',
    `create schema if not exists ${schema}`,
    `set local search_path to ${schema}`,
    ...logTables,
    `grant usage, create on schema ${schema} to ${role}`,
    `grant select, insert on event to ${role}`,
    `grant select, update on head to ${role}`,
    `grant select, insert, update, delete on checkpoint to ${role}`,
    'commit',
  ]
    .map((statement) => `${statement};\n`)
    .join('')
}

/** Makes the log's own tables where an administrator has not. */
export async function createLogTables(db: Executor, service: string): Promise<void> {
  const schema = schemaOf(service)
  const lock = `postern:${service}:tables`
  await sql`select pg_advisory_xact_lock(hashtextextended(${lock}, 0))`.execute(db)
  // Asked first, because "if not exists" still needs the right to create schemas.
  const { rows } = await sql<{ schema: string | null; head: string | null }>`
    select to_regnamespace(${schema})::text as schema, to_regclass(${`${schema}.head`})::text as head
  `.execute(db)
  if (rows[0]?.schema === null) await sql`create schema ${sql.id(schema)}`.execute(db)
  if (rows[0]?.head !== null) return
  for (const statement of logTables) await sql.raw(statement).execute(db)
}

const logTables = [
  `create table if not exists event (
    pos bigint primary key check (pos > 0),
    id uuid not null unique,
    stream text not null,
    ver integer not null check (ver > 0),
    type text not null,
    schema_ver integer not null,
    meta jsonb not null,
    data bytea not null,
    at timestamptz not null,
    unique (stream, ver)
  )`,
  `create table if not exists head (
    only_row boolean primary key default true check (only_row),
    pos bigint not null check (pos >= 0),
    epoch uuid not null,
    origin text not null
  )`,
  `create table if not exists checkpoint (
    name text primary key,
    version integer not null,
    pos bigint not null
  )`,
  `insert into head (pos, epoch, origin) values (0, gen_random_uuid(), '') on conflict do nothing`,
  `create or replace function refuse_rewriting() returns trigger language plpgsql as $$
    begin
      raise exception 'the event log is append-only: % is refused', tg_op
        using errcode = 'insufficient_privilege';
    end $$`,
  'drop trigger if exists event_is_append_only on event',
  `create trigger event_is_append_only before update or delete or truncate on event
    for each statement execute function refuse_rewriting()`,
  // Also for sessions that replicate, which skip ordinary triggers.
  'alter table event enable always trigger event_is_append_only',
  'revoke update, delete, truncate on event from public, current_user',
]
