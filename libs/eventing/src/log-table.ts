import { sql } from 'kysely'
import type { EncodedEvent } from './codec.ts'
import type { Executor } from './database.ts'

export type EventMeta = {
  readonly actor: string
  readonly cause: string
  readonly traceparent?: string
}

/** A row of the log. */
export type LogEvent = EncodedEvent & {
  readonly pos: bigint
  readonly id: string
  readonly stream: string
  readonly ver: number
  readonly meta: EventMeta
  readonly at: Date
}

export type Head = { readonly pos: bigint; readonly epoch: string }

export type LogPage = { readonly head: Head; readonly events: readonly LogEvent[] }

/** `afterId` is that of the event before the run; empty at the start, and where there is none. */
export type LogRunPage = LogPage & { readonly afterId: string }

/** Events of a page together, unless the first alone is larger. */
const PAGE_BYTES_MAX = 2 * 1024 * 1024

type Row = {
  head_pos: bigint
  head_epoch: string
  after_id: string | null
  pos: bigint | null
  id: string
  stream: string
  ver: number
  type: string
  schema_ver: number
  meta: EventMeta
  data: Buffer
  at: Date
}

/** A contiguous run after a position, and the head at that same moment. */
export async function readLog(db: Executor, after: bigint, limit: number): Promise<LogRunPage> {
  const { rows } = await sql<Row>`
    select head.pos as head_pos, head.epoch as head_epoch,
      (select id from event where pos = ${after}) as after_id, page.*
    from head left join lateral (
      select * from (
        select *, sum(octet_length(data)) over (order by pos) as bytes
        from (select * from event where pos > ${after} order by pos limit ${limit}) as run
      ) as sized
      where bytes <= ${PAGE_BYTES_MAX} or pos = ${after + 1n}
    ) as page on true
    order by page.pos`.execute(db)
  return { ...toPage(rows), afterId: rows[0]?.after_id ?? '' }
}

/** A run of one stream after a version, and the head at that same moment. */
export async function readStream(
  db: Executor,
  stream: string,
  afterVer: number,
  limit: number,
): Promise<LogPage> {
  const { rows } = await sql<Omit<Row, 'after_id'>>`
    select head.pos as head_pos, head.epoch as head_epoch, run.*
    from head left join lateral (
      select * from event where stream = ${stream} and ver > ${afterVer} order by ver limit ${limit}
    ) as run on true
    order by run.ver`.execute(db)
  return toPage(rows)
}

export async function readHead(db: Executor): Promise<Head> {
  const { rows } = await sql<Head>`select pos, epoch from head`.execute(db)
  return one(rows)
}

/** Waits for its turn; from here to the end of the transaction nobody else appends. */
export async function lockHead(db: Executor): Promise<Head> {
  const { rows } = await sql<Head>`select pos, epoch from head for update`.execute(db)
  return one(rows)
}

/** Takes the next positions and locks the head. Answers the last of them. */
export async function advanceHead(db: Executor, count: number): Promise<Head> {
  const { rows } = await sql<Head>`
    update head set pos = pos + ${count} returning pos, epoch`.execute(db)
  return one(rows)
}

export async function lastVersion(db: Executor, stream: string): Promise<number> {
  const { rows } = await sql<{ ver: number }>`
    select coalesce(max(ver), 0) as ver from event where stream = ${stream}`.execute(db)
  return one(rows).ver
}

export async function insertEvents(db: Executor, events: readonly LogEvent[]): Promise<void> {
  const rows = events.map(
    ({ pos, id, stream, ver, type, schemaVer, meta, data, at }) =>
      sql`(${pos}, ${id}, ${stream}, ${ver}, ${type}, ${schemaVer}, ${JSON.stringify(meta)}, ${Buffer.from(data)}, ${at})`,
  )
  await sql`
    insert into event (pos, id, stream, ver, type, schema_ver, meta, data, at)
    values ${sql.join(rows)}`.execute(db)
}

function toPage(rows: readonly Omit<Row, 'after_id'>[]): LogPage {
  const { head_pos: pos, head_epoch: epoch } = one(rows)
  return { head: { pos, epoch }, events: rows.flatMap(toLogEvent) }
}

function toLogEvent({ pos, schema_ver: schemaVer, ...row }: Omit<Row, 'after_id'>): LogEvent[] {
  if (pos === null) return []
  const { id, stream, ver, type, meta, data, at } = row
  return [{ pos, id, stream, ver, type, schemaVer, meta, data, at }]
}

function one<Value>(rows: readonly Value[]): Value {
  const [first] = rows
  if (first === undefined) throw new Error('the log has no head: its schema is incomplete')
  return first
}
