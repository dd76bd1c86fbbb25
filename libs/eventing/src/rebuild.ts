import { type Kysely, sql, type Transaction } from 'kysely'
import type { DomainEvent } from './decider.ts'
import { lockHead } from './log-table.ts'
import type { Projection } from './projection.ts'
import { emptyTables, fold, type Projections, setCheckpoint } from './projector.ts'
import type { ProjectionReport, RebuildReport } from './rebuild-report.ts'

/** Thrown inside to roll back, and never seen outside. */
class KeptAsItWas extends Error {
  readonly report: ProjectionReport & { pos: bigint }
  constructor(report: ProjectionReport & { pos: bigint }) {
    super('the projection is kept as it was')
    this.report = report
  }
}

/** Each projection in a transaction of its own, during which nobody appends. */
export async function rebuildProjections<Database, Event extends DomainEvent>(
  db: Kysely<Database>,
  { projections, codec }: Projections<Database, Event>,
  { verify }: { verify: boolean },
): Promise<RebuildReport> {
  const reports: ProjectionReport[] = []
  let upTo = 0n
  for (const projection of projections) {
    const { pos, ...report } = await db
      .transaction()
      .execute(async (tx) => {
        const head = await lockHead(tx)
        const hashBefore = await hashTables(tx, projection)
        await emptyTables(tx, projection)
        const events = await fold(tx, projection, codec, 0n, head.pos)
        const hashAfter = await hashTables(tx, projection)
        const equal = hashBefore === hashAfter
        const replaced = equal || !verify
        const done = { projection: projection.name, events, hashBefore, hashAfter, equal, replaced }
        if (!replaced) throw new KeptAsItWas({ ...done, pos: head.pos })
        await setCheckpoint(tx, projection, head.pos)
        return { ...done, pos: head.pos }
      })
      .catch((error: unknown) => {
        if (error instanceof KeptAsItWas) return error.report
        throw new Error(`rebuilding the projection ${projection.name}`, { cause: error })
      })
    upTo = pos
    reports.push(report)
  }
  return { pos: upTo, projections: reports, equal: reports.every(({ equal }) => equal) }
}

/** The same for the same rows, in whatever order they lie. */
async function hashTables<Database, Event extends DomainEvent>(
  tx: Transaction<Database>,
  { tables }: Projection<Database, Event>,
): Promise<string> {
  const hashes: string[] = []
  for (const table of [...tables].sort()) {
    const { rows } = await sql<{ hash: string }>`
      select encode(sha256(convert_to(coalesce(string_agg(digest, '' order by digest), ''), 'UTF8')), 'hex') as hash
      from (select md5(whole_row::text) as digest from ${sql.table(table)} as whole_row) as digests
    `.execute(tx)
    hashes.push(`${table}=${rows[0]?.hash ?? ''}`)
  }
  return hashes.join(' ')
}
