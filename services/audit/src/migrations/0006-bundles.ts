import { type Kysely, sql } from 'kysely'
import type { Migration } from 'kysely/migration'
import { cutIntoBundles, packBundle } from '../log/entry-bundle.ts'
import { runsOf } from '../producer/producer-runs.ts'

/** At most 64 MiB of them. */
const ENTRIES_AT_ONCE = 1024

/**
 * Entries that were written together in compressed bundles, instead of a row for each: a row takes
 * sixteen times the disk and costs eight times the work.
 */
export const bundles: Migration = {
  async up(db) {
    await sql`
      create table entry_bundle (
        first_idx bigint primary key check (first_idx >= 0),
        entries integer not null check (entries between 1 and 64 - first_idx % 64),
        stored_at timestamptz not null,
        bundle bytea not null
      )`.execute(db)
    await sql`alter table entry_bundle alter column bundle set storage external`.execute(db)
    await sql`
      create table producer_run (
        producer_id uuid not null,
        first_number bigint not null check (first_number > 0),
        last_number bigint not null check (last_number >= first_number),
        first_idx bigint not null unique check (first_idx >= 0),
        primary key (producer_id, first_number)
      )`.execute(db)
    // One that still runs from before would write what is not moved any more.
    await sql`lock table entry in access exclusive mode`.execute(db)
    for (let next = 0; ; ) {
      const entries = await readEntries(db, next)
      if (entries.length === 0) break
      await insert(db, entries)
      next = (entries.at(-1)?.idx ?? 0) + 1
    }
    await sql`alter table invalid_record drop constraint invalid_record_idx_fkey`.execute(db)
    await sql`drop table entry`.execute(db)
    for (const table of ['entry_bundle', 'producer_run']) {
      await sql`
        create trigger unchanged before update or delete on ${sql.table(table)}
        for each row execute function refuse_change()`.execute(db)
      await sql`
        create trigger never_emptied before truncate on ${sql.table(table)}
        for each statement execute function refuse_change()`.execute(db)
    }
  },
}

type Entry = {
  readonly idx: number
  readonly producerId: string
  readonly number: bigint
  readonly storedAt: string
  readonly body: Buffer
}

async function readEntries(db: Kysely<unknown>, first: number): Promise<readonly Entry[]> {
  const { rows } = await sql<Omit<Entry, 'idx' | 'number'> & { idx: string; number: string }>`
    select idx::text as idx, producer_id::text as "producerId", number::text as number,
      stored_at::text as "storedAt", body
    from entry where idx >= ${first} order by entry.idx limit ${ENTRIES_AT_ONCE}`.execute(db)
  return rows.map((row) => ({ ...row, idx: Number(row.idx), number: BigInt(row.number) }))
}

async function insert(db: Kysely<unknown>, entries: readonly Entry[]): Promise<void> {
  const rows = momentsOf(entries)
    .flatMap((moment) => cutIntoBundles(moment))
    .map((bundle) => [
      bundle[0]?.idx ?? 0,
      bundle.length,
      bundle[0]?.storedAt ?? '',
      packBundle(bundle.map(({ body }) => body)),
    ])
  await sql`
    insert into entry_bundle (first_idx, entries, stored_at, bundle)
    values ${sql.join(rows.map((row) => sql`(${sql.join(row)})`))}`.execute(db)
  const runs = runsOf(entries).map(({ producerId, firstNumber, lastNumber, firstIdx }) => [
    producerId,
    firstNumber,
    lastNumber,
    firstIdx,
  ])
  await sql`
    insert into producer_run (producer_id, first_number, last_number, first_idx)
    values ${sql.join(runs.map((row) => sql`(${sql.join(row)})`))}`.execute(db)
}

/** Entries that were written in one moment. Where an entry is missing it stays so. */
function momentsOf(entries: readonly Entry[]): readonly (readonly Entry[])[] {
  const moments: Entry[][] = []
  for (const entry of entries) {
    const moment = moments.at(-1)
    const last = moment?.at(-1)
    if (last?.storedAt === entry.storedAt && last.idx + 1 === entry.idx) moment?.push(entry)
    else moments.push([entry])
  }
  return moments
}
