import { type Kysely, type SqlBool, sql } from 'kysely'
import type { AuditDatabase } from '../database.ts'
import { searchableText } from './audit-event.ts'

/** What to look for; an empty text matches everything. */
export type RecordFilter = {
  readonly user: string
  readonly cluster: string
  readonly namespace: string
  readonly verb: string
  /** "pods" or "pods/exec". */
  readonly resource: string
  readonly decision: '' | 'allow' | 'deny'
  /** RFC 3339. */
  readonly since: string | undefined
  readonly until: string | undefined
  readonly auditId: string
  readonly openOnly: boolean
}

/** A part of the log, read one way. */
export type RecordRange = {
  /** Exclusive. */
  readonly after: bigint
  readonly before: bigint
  readonly ascending: boolean
}

type FoundRecord = { readonly index: number; readonly event: Buffer }

export type RecordPage = {
  readonly records: readonly FoundRecord[]
  /** Whether there are more in the range behind these. */
  readonly more: boolean
}

/** The first matching records in a range: at most `limit`, and at most these many bytes but one. */
export async function searchRecords(
  db: Kysely<AuditDatabase>,
  search: { filter: RecordFilter; range: RecordRange; limit: number; bytesMax: number },
): Promise<RecordPage> {
  const { filter, range, limit, bytesMax } = search
  const way = sql.raw(range.ascending ? 'asc' : 'desc')
  const { rows: matches } = await sql<{ idx: string; bytes: number }>`
    select record.idx::text as idx, octet_length(entry.body) as bytes
    from record join entry on entry.idx = record.idx
    where record.idx > ${String(range.after)}::bigint
      and record.idx < ${String(range.before)}::bigint
      and ${sql.join(conditionsOf(filter), sql` and `)}
    order by record.idx ${way}
    limit ${limit + 1}`.execute(db)
  let bytes = 0
  const cut = matches.findIndex((match, at) => {
    bytes += match.bytes
    return at >= limit || (at > 0 && bytes > bytesMax)
  })
  const wanted = (cut < 0 ? matches : matches.slice(0, cut)).map(({ idx }) => idx)
  const { rows } = await sql<{ idx: string; body: Buffer }>`
    select idx::text as idx, body from entry
    where idx = any(${wanted}::bigint[]) order by entry.idx ${way}`.execute(db)
  return {
    records: rows.map(({ idx, body }) => ({ index: Number(idx), event: body })),
    more: cut >= 0,
  }
}

function conditionsOf(filter: RecordFilter) {
  const conditions = [sql<SqlBool>`true`]
  const equal = (column: string, text: string) => {
    if (text === '') return
    conditions.push(sql`${sql.ref(`record.${column}`)} = ${searchableText(text)}`)
  }
  equal('user_name', filter.user)
  equal('cluster', filter.cluster)
  equal('namespace', filter.namespace)
  equal('verb', filter.verb)
  equal('decision', filter.decision)
  equal('audit_id', filter.auditId)
  if (filter.resource !== '') {
    const [resource = '', ...rest] = filter.resource.split('/')
    equal('resource', resource)
    conditions.push(sql`record.subresource = ${searchableText(rest.join('/'))}`)
  }
  if (filter.since !== undefined) {
    conditions.push(sql`record.received_at >= ${filter.since}::timestamptz`)
  }
  if (filter.until !== undefined) {
    conditions.push(sql`record.received_at < ${filter.until}::timestamptz`)
  }
  if (filter.openOnly) conditions.push(sql`record.open`)
  return conditions
}
