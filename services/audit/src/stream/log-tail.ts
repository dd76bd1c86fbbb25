import type { RecentItems } from '@postern/eventing'
import { type Kysely, sql } from 'kysely'
import type { AuditDatabase } from '../database.ts'
import { eventOf } from '../record/audit-event.ts'
import type { IndexedEntry } from '../record/log-entry.ts'

/** As many as the bus takes at once: each batch is files of its own there. What is recent has at most 4 MiB. */
const RECENT_MAX = 1000
/** At most 15 MiB. */
const STORED_MAX = 256

export type LogTail = ReturnType<typeof createLogTail>

/** What the publisher of the stream reads. */
export function createLogTail(db: Kysely<AuditDatabase>, recent: RecentItems<IndexedEntry>) {
  async function storedAt(index: number): Promise<Date | undefined> {
    const { rows } = await sql<{ at: Date }>`
      select stored_at as at from entry where idx = ${index}`.execute(db)
    return rows[0]?.at
  }

  return {
    /** The next to be published, of which there may be more. */
    async read(first: number): Promise<readonly IndexedEntry[]> {
      const written = recent.take(first, { items: RECENT_MAX })
      if (written.length > 0) return written
      const { rows } = await sql<{ idx: string; body: Buffer }>`
        select idx::text as idx, body from entry
        where idx >= ${first} order by entry.idx limit ${STORED_MAX}`.execute(db)
      return rows.map(({ idx, body }) => ({ index: Number(idx), body, event: eventOf(body) }))
    },

    async size(): Promise<number> {
      const { rows } = await sql<{ size: string }>`
        select size::text as size from log_head`.execute(db)
      return Number(rows[0]?.size ?? 0)
    },

    /** Index of the first entry that was stored since; found in a few steps, for they are in order. */
    async firstSince(since: Date): Promise<number> {
      let low = 0
      let high = await this.size()
      while (low < high) {
        const middle = Math.floor((low + high) / 2)
        const at = await storedAt(middle)
        if (at !== undefined && at < since) low = middle + 1
        else high = middle
      }
      return low
    },

    /** Changes when the database is restored from a backup. */
    async epoch(): Promise<string> {
      const { rows } = await sql<{ epoch: string }>`
        select epoch::text as epoch from head`.execute(db)
      const [head] = rows
      if (head === undefined) throw new Error('the event log has no head')
      return head.epoch
    },
  }
}
