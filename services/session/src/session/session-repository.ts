import { EventEmitter, once } from 'node:events'
import type { Actor, EventStore } from '@postern/eventing'
import type { Kysely, Selectable } from 'kysely'
import type { SessionDatabase } from '../database.ts'
import { type Binding, type SessionCommand, type SessionEvent, session } from './session.ts'

export type SessionRow = Omit<Selectable<SessionDatabase['sessions']>, 'bindings'> & {
  bindings: Binding[]
}

export type SessionRepository = ReturnType<typeof createSessionRepository>

/** Reads and writes sessions. `changed` wakes whoever waits for one to become different. */
export function createSessionRepository(needs: {
  db: Kysely<SessionDatabase>
  store: EventStore<SessionDatabase, SessionEvent>
}) {
  const { db, store } = needs
  const changes = new EventEmitter().setMaxListeners(0)

  return {
    /** @throws Rejection */
    async execute(sessionId: string, command: SessionCommand, actor: Actor): Promise<void> {
      await store.execute({ stream: `session-${sessionId}`, decider: session, command, actor })
      changes.emit('change')
    },

    /** Another process changed something, or may have. */
    noteChange: () => changes.emit('change'),

    /** Resolves at the next change, or when the time is up: look again either way. */
    async changed(timeoutMs: number, signal: AbortSignal): Promise<void> {
      const deadline = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)])
      await once(changes, 'change', { signal: deadline }).catch(() => {})
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

    /** Sessions whose account somebody still has to care for. */
    async live(): Promise<SessionRow[]> {
      const rows = await db
        .selectFrom('sessions')
        .selectAll()
        .where('state', 'in', ['opening', 'active'])
        .execute()
      return rows.map(toRow)
    },

    /** What changed on a cluster after a position, in order; from 0 only what is not over. */
    async changedSince(clusterId: string, pos: bigint): Promise<SessionRow[]> {
      const rows = await db
        .selectFrom('sessions')
        .selectAll()
        .where('cluster_id', '=', clusterId)
        .where('pos', '>', pos)
        .where('state', '<>', 'ended')
        .orderBy('pos')
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

function toRow(row: Selectable<SessionDatabase['sessions']>): SessionRow {
  return { ...row, bindings: parseBindings(row.bindings) }
}

function parseBindings(value: unknown): Binding[] {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the projection wrote it from an event
  return value as Binding[]
}
