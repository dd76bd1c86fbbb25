import { type Kysely, sql } from 'kysely'
import type { AuditDatabase } from '../database.ts'

/** Entries whose numbers at their producer go on by one with their place in the log. */
export type ProducerRun = {
  readonly producerId: string
  readonly firstNumber: bigint
  readonly lastNumber: bigint
  readonly firstIdx: number
}

const RUNS_AT_ONCE = 1000

type NumberedEntry = {
  readonly idx: number
  readonly producerId: string
  readonly number: bigint
}

/** The runs of entries that are in the order of the log. */
export function runsOf(entries: readonly NumberedEntry[]): readonly ProducerRun[] {
  const runs: { producerId: string; firstNumber: bigint; lastNumber: bigint; firstIdx: number }[] =
    []
  for (const { idx, producerId, number } of entries) {
    const run = runs.at(-1)
    const goesOn =
      run?.producerId === producerId &&
      number === run.lastNumber + 1n &&
      BigInt(idx - run.firstIdx) === number - run.firstNumber
    if (goesOn) run.lastNumber = number
    else runs.push({ producerId, firstNumber: number, lastNumber: number, firstIdx: idx })
  }
  return runs
}

/** Whose entries these are, which follow all that were written before. */
export async function insertRuns(
  db: Kysely<AuditDatabase>,
  entries: readonly NumberedEntry[],
): Promise<void> {
  const rows = runsOf(entries).map(({ producerId, firstNumber, lastNumber, firstIdx }) => ({
    producer_id: producerId,
    first_number: firstNumber,
    last_number: lastNumber,
    first_idx: firstIdx,
  }))
  await db.insertInto('producer_run').values(rows).execute()
}

/** Of these many numbers of a producer from the first on, those that are in the log. */
export async function readStoredNumbers(
  db: Kysely<AuditDatabase>,
  wanted: { producerId: string; first: bigint; count: number },
): Promise<ReadonlySet<bigint>> {
  const { producerId, count } = wanted
  const first = sql`${String(wanted.first)}::bigint`
  const last = sql`${String(wanted.first + BigInt(count) - 1n)}::bigint`
  const { rows } = await sql<{ number: string }>`
    select generate_series(greatest(first_number, ${first}), least(last_number, ${last}))::text as number
    from producer_run
    where producer_id = ${producerId} and first_number <= ${last} and first_number >= coalesce((
      select max(first_number) from producer_run
      where producer_id = ${producerId} and first_number <= ${first}), 0)`.execute(db)
  return new Set(rows.map(({ number }) => BigInt(number)))
}

/** The producers of entries from the first to before the last, by entry. */
export async function readProducersOf(
  db: Kysely<AuditDatabase>,
  { first, before }: { first: number; before: number },
): Promise<ReadonlyMap<number, string>> {
  const { rows } = await sql<{ idx: string; producerId: string }>`
    select generate_series(greatest(first_idx, ${first}),
        least(first_idx + last_number - first_number, ${before - 1}))::text as idx,
      producer_id::text as "producerId"
    from producer_run
    where first_idx < ${before} and first_idx >= coalesce((
      select max(first_idx) from producer_run where first_idx <= ${first}), 0)`.execute(db)
  return new Map(rows.map(({ idx, producerId }) => [Number(idx), producerId]))
}

/** In words for an operator: entries of a log that nobody delivered, and numbers that are there twice. */
export async function* problemsOfRuns(
  db: Kysely<AuditDatabase>,
  logSize: number,
): AsyncGenerator<string> {
  let expected = 0
  for (let from = 0; ; ) {
    const { rows } = await sql<{
      idx: string
      entries: string
      producerId: string
      number: string
      repeated: boolean
    }>`
      select first_idx::text as idx, (last_number - first_number + 1)::text as entries,
        producer_id::text as "producerId", first_number::text as number,
        first_number <= coalesce((
          select last_number from producer_run as earlier
          where earlier.producer_id = run.producer_id and earlier.first_number < run.first_number
          order by earlier.first_number desc limit 1), 0) as repeated
      from producer_run as run where first_idx >= ${from}
      order by first_idx limit ${RUNS_AT_ONCE}`.execute(db)
    for (const { idx, entries, producerId, number, repeated } of rows) {
      const first = Number(idx)
      if (first > expected) yield `nothing says who delivered entry ${expected}`
      if (first < expected) yield `entry ${first} was delivered twice`
      if (repeated) yield `number ${number} of producer ${producerId} is there twice`
      expected = first + Number(entries)
      from = first + 1
    }
    if (rows.length < RUNS_AT_ONCE) break
  }
  if (expected < logSize) yield `nothing says who delivered entry ${expected}`
  if (expected > logSize) yield `entry ${logSize} was delivered, and the log does not have it`
}
