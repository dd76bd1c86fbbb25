import { type Kysely, sql, type Transaction } from 'kysely'
import type { EventCodec } from './codec.ts'
import type { DomainEvent } from './decider.ts'
import { decodeOwn } from './decode-recorded.ts'
import { lockHead, readLog } from './log-table.ts'
import type { Projection } from './projection.ts'
import type { Recorded } from './recorded.ts'

const PAGE = 1000

export type Projections<Database, Event extends DomainEvent> = {
  readonly projections: readonly Projection<Database, Event>[]
  readonly codec: EventCodec<Event>
}

/** Applies new events, in the transaction that appends them, and moves every checkpoint with them. */
export async function applyInline<Database, Event extends DomainEvent>(
  tx: Transaction<Database>,
  projections: readonly Projection<Database, Event>[],
  events: readonly Recorded<Event>[],
): Promise<void> {
  const [first] = events
  const last = events.at(-1)
  if (first === undefined || last === undefined || projections.length === 0) return
  for (const projection of projections) {
    for (const recorded of events) await projection.apply(tx, recorded)
  }
  const versions = projections.map(({ name, version }) => sql`(${name}, ${version}::integer)`)
  const { numAffectedRows } = await sql`
    update checkpoint set pos = ${last.pos}
    where (name, version) in (${sql.join(versions)}) and pos = ${first.pos - 1n}`.execute(tx)
  if (numAffectedRows !== BigInt(projections.length)) {
    throw new Error(
      'a projection is not at the head, or was rebuilt by another version of this service: restart with the newest version',
    )
  }
}

/** Brings every projection to the head; one of another version is emptied first. */
export async function catchUp<Database, Event extends DomainEvent>(
  db: Kysely<Database>,
  { projections, codec }: Projections<Database, Event>,
): Promise<readonly string[]> {
  return await db.transaction().execute(async (tx) => {
    const head = await lockHead(tx)
    const rebuilt: string[] = []
    for (const projection of projections) {
      const { name, version } = projection
      const { rows } = await sql<{ version: number; pos: bigint }>`
        select version, pos from checkpoint where name = ${name} for update`.execute(tx)
      const [checkpoint] = rows
      if (checkpoint?.version === version && checkpoint.pos === head.pos) continue
      const resumes = checkpoint?.version === version && checkpoint.pos < head.pos
      if (!resumes) {
        rebuilt.push(name)
        await emptyTables(tx, projection)
      }
      await fold(tx, projection, codec, resumes ? checkpoint.pos : 0n, head.pos)
      await setCheckpoint(tx, projection, head.pos)
    }
    return rebuilt
  })
}

/** Answers how many events were folded. */
export async function fold<Database, Event extends DomainEvent>(
  tx: Transaction<Database>,
  projection: Projection<Database, Event>,
  codec: EventCodec<Event>,
  after: bigint,
  until: bigint,
): Promise<number> {
  let count = 0
  for (let at = after; at < until; ) {
    const { events } = await readLog(tx, at, PAGE)
    for (const logged of events) {
      at += 1n
      if (logged.pos !== at) throw new Error(`the log has a hole before ${logged.pos}`)
      await projection.apply(tx, decodeOwn(codec, logged))
      count += 1
    }
    if (events.length === 0) throw new Error(`the log ends at ${at}, before its head ${until}`)
  }
  return count
}

export async function emptyTables<Database, Event extends DomainEvent>(
  tx: Transaction<Database>,
  { tables }: Projection<Database, Event>,
): Promise<void> {
  if (tables.length === 0) return
  const names = sql.join(tables.map((table) => sql.table(table)))
  await sql`truncate table ${names} restart identity`.execute(tx)
}

export async function setCheckpoint<Database, Event extends DomainEvent>(
  tx: Transaction<Database>,
  { name, version }: Projection<Database, Event>,
  pos: bigint,
): Promise<void> {
  await sql`
    insert into checkpoint (name, version, pos) values (${name}, ${version}, ${pos})
    on conflict (name) do update set version = excluded.version, pos = excluded.pos`.execute(tx)
}
