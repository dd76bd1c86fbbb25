import { type Kysely, sql } from 'kysely'
import type { SessionDatabase } from '../database.ts'

export type Activity = {
  readonly sessionId: string
  readonly lastActiveAt: Date
  readonly openStreams: number
}

/** When sessions were last used. High-rate facts that gateways report: not events. */
export function createActivityStore({ db }: { db: Kysely<SessionDatabase> }) {
  return {
    /** Keeps the latest moment of each session, whichever gateway saw it. Each session once. */
    async note(activities: readonly Activity[]): Promise<void> {
      if (activities.length === 0) return
      const rows = activities.map(({ sessionId, lastActiveAt, openStreams }) => ({
        session_id: sessionId,
        last_active_at: lastActiveAt,
        open_streams: openStreams,
      }))
      await db
        .insertInto('activity')
        .values(rows)
        .onConflict((conflict) =>
          conflict.column('session_id').doUpdateSet({
            last_active_at: sql`greatest(activity.last_active_at, excluded.last_active_at)`,
            open_streams: sql`excluded.open_streams`,
          }),
        )
        .execute()
    },

    /** Forgets sessions that are over. */
    async forget(): Promise<void> {
      await db
        .deleteFrom('activity')
        .where('session_id', 'not in', (live) =>
          live
            .selectFrom('sessions')
            .select('session_id')
            .where('state', 'in', ['opening', 'active']),
        )
        .execute()
    },
  }
}

export type ActivityStore = ReturnType<typeof createActivityStore>
