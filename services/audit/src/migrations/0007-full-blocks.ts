import { sql } from 'kysely'
import type { Migration } from 'kysely/migration'

/**
 * What searches look at, for each 1,024 entries instead of for each 256, and only where there are all of
 * them: a row is written once, and a user who is one of many has a third of the rows.
 */
export const fullBlocks: Migration = {
  async up(db) {
    // One that still runs from before would write what is not moved any more.
    await sql`lock table record_term, record_block in access exclusive mode`.execute(db)
    const full = sql`coalesce((select size / 1024 from log_head), 0)`
    await sql`
      create table wider_term (
        name text not null,
        value text not null,
        block bigint not null,
        positions bit(1024) not null
      )`.execute(db)
    await sql`
      insert into wider_term
      select name, value, block / 4,
        bit_or(positions::bit(1024) >> ((block % 4) * 256)::integer)
      from record_term where block / 4 < ${full} group by 1, 2, 3 order by 1, 2, 3`.execute(db)
    await sql`drop table record_term`.execute(db)
    await sql`alter table wider_term rename to record_term`.execute(db)
    await sql`alter table record_term add primary key (name, value, block)`.execute(db)
    await sql`
      create table wider_block (
        block bigint primary key,
        received_from timestamptz not null,
        received_to timestamptz not null
      )`.execute(db)
    await sql`
      insert into wider_block
      select block / 4, min(received_from), max(received_to)
      from record_block where block / 4 < ${full} group by 1 order by 1`.execute(db)
    await sql`drop table record_block`.execute(db)
    await sql`alter table wider_block rename to record_block`.execute(db)
    await sql`alter index wider_block_pkey rename to record_block_pkey`.execute(db)
    await sql`
      create index record_block_received on record_block
      using gist (tstzrange(received_from, received_to, '[]'))`.execute(db)
    await sql`drop index open_intent_block`.execute(db)
    await sql`create index open_intent_block on open_intent ((idx / 1024))`.execute(db)
  },
}
