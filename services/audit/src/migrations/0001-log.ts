import { sql } from 'kysely'
import type { Migration } from 'kysely/migration'

/** The log, its tiles and its head; nothing in them is ever taken back. */
export const log: Migration = {
  async up(db) {
    await sql`
      create table entry (
        idx bigint primary key check (idx >= 0),
        producer_id uuid not null,
        number bigint not null check (number > 0),
        body bytea not null check (octet_length(body) <= 65535),
        stored_at timestamptz not null,
        unique (producer_id, number)
      )`.execute(db)
    await sql`
      create table invalid_record (
        idx bigint primary key references entry (idx),
        body bytea not null
      )`.execute(db)
    await sql`
      create table tile (
        level integer not null check (level between 0 and 63),
        idx bigint not null check (idx >= 0),
        hashes bytea not null check (octet_length(hashes) between 32 and 8192
          and octet_length(hashes) % 32 = 0),
        primary key (level, idx)
      )`.execute(db)
    await sql`
      create table log_head (
        id integer primary key default 1 check (id = 1),
        size bigint not null check (size >= 0),
        root bytea not null check (octet_length(root) = 32),
        checkpoint text not null
      )`.execute(db)
    await sql`
      create function refuse_change() returns trigger language plpgsql as $$
      begin
        raise exception 'the audit log only grows: % of % is refused', tg_op, tg_table_name;
      end $$`.execute(db)
    await sql`
      create function refuse_shrinking_tile() returns trigger language plpgsql as $$
      begin
        if (new.level, new.idx) is distinct from (old.level, old.idx)
          or substr(new.hashes, 1, octet_length(old.hashes)) is distinct from old.hashes then
          raise exception 'a tile only grows';
        end if;
        return new;
      end $$`.execute(db)
    await sql`
      create function refuse_shrinking_log() returns trigger language plpgsql as $$
      begin
        if new.size < old.size or (new.size = old.size and new.root <> old.root) then
          raise exception 'the audit log only grows: size % after %', new.size, old.size;
        end if;
        return new;
      end $$`.execute(db)
    for (const table of ['entry', 'invalid_record']) {
      await sql`
        create trigger unchanged before update or delete on ${sql.table(table)}
        for each row execute function refuse_change()`.execute(db)
    }
    await sql`
      create trigger grows before update on tile
      for each row execute function refuse_shrinking_tile()`.execute(db)
    await sql`
      create trigger grows before update on log_head
      for each row execute function refuse_shrinking_log()`.execute(db)
    for (const table of ['tile', 'log_head']) {
      await sql`
        create trigger stays before delete on ${sql.table(table)}
        for each row execute function refuse_change()`.execute(db)
    }
    for (const table of ['entry', 'invalid_record', 'tile', 'log_head']) {
      await sql`
        create trigger never_emptied before truncate on ${sql.table(table)}
        for each statement execute function refuse_change()`.execute(db)
    }
  },
}
