import { sql } from 'kysely'
import type { Migration } from 'kysely/migration'

export const rolesAndGrants: Migration = {
  async up(db) {
    await sql`
      create table roles (
        role_id text primary key,
        name text not null,
        description text not null,
        rules jsonb not null,
        constraint roles_name_unique unique (name)
      )`.execute(db)
    await sql`
      create table grants (
        grant_id text primary key,
        name text not null,
        role_id text,
        terms jsonb not null,
        revoked_at timestamptz,
        constraint grants_role_exists foreign key (role_id) references roles
      )`.execute(db)
    await sql`create unique index grants_name_unique on grants (name) where revoked_at is null`.execute(
      db,
    )
    await sql`create index grants_by_name on grants (name, revoked_at)`.execute(db)
    await sql`create index grants_by_role on grants (role_id)`.execute(db)
  },
}
