import type { Actor, EventStore } from '@postern/eventing'
import { type Kysely, type Selectable, sql } from 'kysely'
import type { SessionDatabase } from '../database.ts'
import { type Binding, type SessionCommand, type SessionEvent, session } from './session.ts'
import type { SessionChanges } from './session-changes.ts'

export type SessionRow = Omit<Selectable<SessionDatabase['sessions']>, 'bindings'> & {
  bindings: Binding[]
}

const PAGE = 500

export type SessionRepository = ReturnType<typeof createSessionRepository>

export type LiveSession = SessionRow & { readonly lastActiveAt: Date | undefined }

/** Sessions that changed after a position, whose time is over, or that nobody has used since. */
export type Due = { readonly changedAfter: bigint; readonly at: Date; readonly unusedSince: Date }

/** Reads and writes sessions. */
export function createSessionRepository(needs: {
  db: Kysely<SessionDatabase>
  store: EventStore<SessionDatabase, SessionEvent>
  changes: SessionChanges
}) {
  const { db, store, changes } = needs

  return {
    /** @throws Rejection */
    async execute(sessionId: string, command: SessionCommand, actor: Actor): Promise<void> {
      await store.execute({ stream: `session-${sessionId}`, decider: session, command, actor })
      changes.look()
    },

    async find(sessionId: string): Promise<SessionRow | undefined> {
      const row = await db
        .selectFrom('sessions')
        .selectAll()
        .where('session_id', '=', sessionId)
        .executeTakeFirst()
      return row === undefined ? undefined : toRow(row)
    },

    async findOpen(userId: string, clusterId: string): Promise<SessionRow | undefined> {
      const row = await db
        .selectFrom('sessions')
        .selectAll()
        .where('user_id', '=', userId)
        .where('cluster_id', '=', clusterId)
        .where('state', 'in', ['opening', 'active'])
        .executeTakeFirst()
      return row === undefined ? undefined : toRow(row)
    },

    /** When the first session that is in use is over by its time, or has been idle for so long. */
    async nextDue(idleSeconds: number): Promise<Date | undefined> {
      const { rows } = await sql<{ at: Date | null }>`
        select min(least(expires_at::timestamptz,
          coalesce(last_active_at, opened_at::timestamptz) + make_interval(secs => ${idleSeconds}))) as at
        from sessions left join activity using (session_id)
        where state in ('opening', 'active')`.execute(db)
      return rows[0]?.at ?? undefined
    },

    /** Sessions that are in use, or those of them that are due, with when they were last used; in order of ids, after one. */
    async live(after: string, due?: Due): Promise<LiveSession[]> {
      const rows = await db
        .selectFrom('sessions')
        .leftJoin('activity', 'activity.session_id', 'sessions.session_id')
        .selectAll('sessions')
        .select('activity.last_active_at')
        .where('state', 'in', ['opening', 'active'])
        .where('sessions.session_id', '>', after)
        .where(due === undefined ? sql.lit(true) : isDue(due))
        .orderBy('sessions.session_id')
        .limit(PAGE)
        .execute()
      return rows.map(({ last_active_at: at, ...row }) => ({
        ...toRow(row),
        lastActiveAt: at ?? undefined,
      }))
    },

    /** What changed on a cluster after a position and is not over, in order; at most a page. */
    async changedSince(clusterId: string, pos: bigint): Promise<SessionRow[]> {
      const rows = await db
        .selectFrom('sessions')
        .selectAll()
        .where('cluster_id', '=', clusterId)
        .where('pos', '>', pos)
        .where('state', '<>', 'ended')
        .orderBy('pos')
        .limit(PAGE)
        .execute()
      return rows.map(toRow)
    },

    /** Newest first. Ids sort by time, so the last id of a page is where the next one starts. */
    async list(filter: {
      userId: string | undefined
      ended: boolean
      before: string | undefined
      limit: number
    }): Promise<SessionRow[]> {
      let query = db.selectFrom('sessions').selectAll()
      if (filter.userId !== undefined) query = query.where('user_id', '=', filter.userId)
      if (!filter.ended) query = query.where('state', 'in', ['opening', 'active'])
      if (filter.before !== undefined) query = query.where('session_id', '<', filter.before)
      const rows = await query.orderBy('session_id', 'desc').limit(filter.limit).execute()
      return rows.map(toRow)
    },
  }
}

function isDue({ changedAfter, at, unusedSince }: Due) {
  return sql<boolean>`(sessions.pos > ${changedAfter} or expires_at::timestamptz <= ${at}
    or coalesce(last_active_at, opened_at::timestamptz) <= ${unusedSince})`
}

function toRow(row: Selectable<SessionDatabase['sessions']>): SessionRow {
  return { ...row, bindings: parseBindings(row.bindings) }
}

function parseBindings(value: unknown): Binding[] {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the projection wrote it from an event
  return value as Binding[]
}
