import { sql } from 'kysely'
import type { Migration } from 'kysely/migration'

/**
 * What searches look at, for each 256 entries instead of for each: from when to when they are, and which
 * of them have a value. A row with seven index entries for every record costs more than the record.
 */
export const terms: Migration = {
  async up(db) {
    await sql`
      create table record_block (
        block bigint primary key,
        received_from timestamptz not null,
        received_to timestamptz not null
      )`.execute(db)
    await sql`
      create table record_term (
        name text not null,
        value text not null,
        block bigint not null,
        positions bit(256) not null,
        primary key (name, value, block)
      ) with (fillfactor = 75)`.execute(db)
    await sql`
      create table open_intent (
        idx bigint primary key,
        producer_id uuid not null,
        audit_id text not null
      )`.execute(db)
    await sql`
      insert into record_block
      select idx / 256, min(received_at), max(received_at) from record group by 1`.execute(db)
    for (const [name, value] of [
      ['user', 'user_name'],
      ['cluster', 'cluster'],
      ['namespace', 'namespace'],
      ['verb', 'verb'],
      ['resource', 'resource'],
      ['subresource', 'subresource'],
      ['decision', 'decision'],
      ['auditId', 'substr(audit_id, 1, 11)'],
    ] as const) {
      await sql`
        insert into record_term
        select ${sql.lit(name)}, ${sql.raw(value)}, idx / 256,
          bit_or(set_bit(repeat('0', 256)::bit(256), (idx % 256)::integer, 1))
        from record where ${sql.raw(value)} <> '' group by 2, 3`.execute(db)
    }
    await sql`
      insert into open_intent
      select idx, producer_id, audit_id from record where open`.execute(db)
    await sql`drop table record`.execute(db)
    await sql`
      create index record_block_received on record_block
      using gist (tstzrange(received_from, received_to, '[]'))`.execute(db)
    await sql`
      create index open_intent_request on open_intent (producer_id, audit_id)`.execute(db)
    await sql`create index open_intent_block on open_intent ((idx / 256))`.execute(db)
  },
}
