import { type Kysely, sql } from 'kysely'
import type { AuditDatabase } from '../database.ts'

type EntryRow = {
  readonly idx: number
  readonly producerId: string
  readonly number: bigint
  readonly body: Uint8Array
  readonly storedAt: string
}

/** Entries of one moment, one behind the other. */
export async function insertEntries(
  db: Kysely<AuditDatabase>,
  entries: readonly EntryRow[],
): Promise<void> {
  const [first] = entries
  if (first === undefined) return
  const runs = runsOf(entries)
  const ends = [0]
  for (const { body } of entries) ends.push((ends.at(-1) ?? 0) + body.length)
  // Bodies go as one run of bytes: an array of them would be a text with two digits for each.
  await sql`
    insert into entry (idx, producer_id, number, body, stored_at)
    select idx, producer_id, first_number + idx - first_idx,
      substring(${Buffer.concat(entries.map(({ body }) => body))}::bytea
        from 1 + ends[at] for ends[at + 1] - ends[at]),
      ${first.storedAt}::timestamptz
    from unnest(
      ${runs.map(({ idx }) => idx)}::bigint[],
      ${runs.map(({ count }) => count)}::integer[],
      ${runs.map(({ producerId }) => producerId)}::uuid[],
      ${runs.map(({ number }) => String(number))}::bigint[]
    ) as run (first_idx, entries, producer_id, first_number)
    cross join lateral generate_series(first_idx, first_idx + entries - 1) as idx
    cross join lateral (select (idx - ${first.idx} + 1)::integer as at) as place
    cross join (select ${ends}::integer[] as ends) as bodies`.execute(db)
}

type Run = Pick<EntryRow, 'idx' | 'producerId' | 'number'> & { count: number }

/** Where a producer's numbers go on by one with the place in the log. */
function runsOf(entries: readonly EntryRow[]): readonly Run[] {
  const runs: Run[] = []
  for (const { idx, producerId, number } of entries) {
    const run = runs.at(-1)
    if (run?.producerId === producerId && number === run.number + BigInt(run.count)) run.count += 1
    else runs.push({ idx, producerId, number, count: 1 })
  }
  return runs
}
