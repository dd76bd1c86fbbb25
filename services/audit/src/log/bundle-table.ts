import { setImmediate as turn } from 'node:timers/promises'
import { type Kysely, type RawBuilder, sql } from 'kysely'
import type { AuditDatabase } from '../database.ts'
import { BUNDLE_ENTRIES, cutIntoBundles, packBundle, unpackBundle } from './entry-bundle.ts'
import { LogDamagedError } from './log-head.ts'

export type StoredEntry = {
  readonly idx: number
  /** Part of all that its bundle unpacked to: who keeps it for longer copies it. */
  readonly body: Buffer
  /** As the times of events are written. */
  readonly storedAt: string
}

/** So much of compressed bundles is read at once, and one more, which has at most 4 MiB. */
const READ_BYTES = 256 * 1024
const BUNDLES_AT_ONCE = 256

/** Entries of one moment, one behind the other. */
export async function insertEntries(
  db: Kysely<AuditDatabase>,
  entries: readonly { readonly idx: number; readonly body: Uint8Array }[],
  storedAt: string,
): Promise<void> {
  const bundles = cutIntoBundles(entries).map((bundle) => ({
    first_idx: bundle[0]?.idx ?? 0,
    entries: bundle.length,
    stored_at: storedAt,
    bundle: packBundle(bundle.map(({ body }) => body)),
  }))
  await db.insertInto('entry_bundle').values(bundles).execute()
}

/**
 * Entries from the first to before the last, in order, those of a bundle at a time: one is unpacked at
 * once, to at most 4 MiB.
 *
 * @throws LogDamagedError where a bundle cannot be read
 */
export async function* readEntries(
  db: Kysely<AuditDatabase>,
  { first, before }: { first: number; before: number },
): AsyncGenerator<readonly StoredEntry[]> {
  for (let from = first - (first % BUNDLE_ENTRIES); from < before; ) {
    const bundles = await readBundles(
      db,
      sql`select first_idx, first_idx from entry_bundle
        where first_idx >= ${from} and first_idx < ${before} and first_idx + entries > ${first}
        order by first_idx limit ${BUNDLES_AT_ONCE}`,
    )
    if (bundles.length === 0) return
    for (const bundle of bundles) {
      const entries = await entriesOf(bundle)
      yield entries.filter(({ idx }) => idx >= first && idx < before)
      from = bundle.first + 1
    }
  }
}

/**
 * Those of these entries that are in the log, each of which is asked for once, all in order or all in
 * reverse; those of a bundle at a time as above.
 *
 * @throws LogDamagedError where a bundle cannot be read
 */
export async function* readEntriesAt(
  db: Kysely<AuditDatabase>,
  wanted: readonly number[],
): AsyncGenerator<readonly StoredEntry[]> {
  for (let rest = wanted; rest.length > 0; ) {
    const bundles = await readBundles(
      db,
      sql`select first_idx, min(at)
        from unnest(${rest}::bigint[]) with ordinality as wanted (idx, at)
        cross join lateral (
          select first_idx, entries from entry_bundle
          where first_idx <= idx order by first_idx desc limit 1
        ) as bundle
        where idx < first_idx + entries group by first_idx`,
    )
    if (bundles.length === 0) return
    for (const bundle of bundles) {
      const { first } = bundle
      const asked = rest.filter((idx) => idx >= first && idx < first + bundle.entries)
      const entries = await entriesOf(bundle)
      yield asked.flatMap((idx) => entries[idx - first] ?? [])
      rest = rest.slice(rest.lastIndexOf(asked.at(-1) ?? 0) + 1)
    }
  }
}

/** When an entry was stored. */
export async function readStoredAt(
  db: Kysely<AuditDatabase>,
  idx: number,
): Promise<Date | undefined> {
  const { rows } = await sql<{ at: Date }>`
    select stored_at as at from entry_bundle
    where first_idx <= ${idx} order by first_idx desc limit 1`.execute(db)
  return rows[0]?.at
}

type BundleRow = {
  readonly first: number
  readonly entries: number
  readonly storedAt: string
  readonly bundle: Buffer
}

/** The first of the bundles that are chosen by their first entry and their place among them. */
async function readBundles(
  db: Kysely<AuditDatabase>,
  chosen: RawBuilder<unknown>,
): Promise<readonly BundleRow[]> {
  const { rows } = await sql<Omit<BundleRow, 'first'> & { first: string }>`
    select first_idx::text as first, entries, bundle,
      to_char(stored_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as "storedAt"
    from (
      select entry_bundle.*, at, sum(octet_length(bundle)) over (order by at) as bytes
      from (${chosen}) as chosen (idx, at) join entry_bundle on first_idx = chosen.idx
    ) as read
    where bytes - octet_length(bundle) < ${READ_BYTES}
    order by at`.execute(db)
  return rows.map((row) => ({ ...row, first: Number(row.first) }))
}

async function entriesOf({
  first,
  entries,
  storedAt,
  bundle,
}: BundleRow): Promise<readonly StoredEntry[]> {
  // Records come in meanwhile, and have their turn between two bundles.
  await turn()
  try {
    const bodies = unpackBundle(bundle, entries)
    return bodies.map((body, at) => ({ idx: first + at, body, storedAt }))
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause
    throw new LogDamagedError(`the entries of the audit log from ${first} on cannot be read`, {
      cause,
    })
  }
}
