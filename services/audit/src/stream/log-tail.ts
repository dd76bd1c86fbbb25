import type { RecentItems } from '@postern/eventing'
import { type Kysely, sql } from 'kysely'
import type { AuditDatabase } from '../database.ts'
import { readEntries, readStoredAt } from '../log/bundle-table.ts'
import { eventOf } from '../record/audit-event.ts'
import type { IndexedEntry } from '../record/log-entry.ts'

/** So many are on their way to the bus at once. What is recent has at most 4 MiB. */
const RECENT_MAX = 1000
/** Of so few bundles that they unpack to at most 24 MiB. */
const STORED_MAX = 256

export type LogTail = ReturnType<typeof createLogTail>

/** What the publisher of the stream reads. */
export function createLogTail(db: Kysely<AuditDatabase>, recent: RecentItems<IndexedEntry>) {
  return {
    /** The next to be published, of which there may be more. */
    async read(first: number): Promise<readonly IndexedEntry[]> {
      const written = recent.take(first, { items: RECENT_MAX })
      if (written.length > 0) return written
      const stored: IndexedEntry[] = []
      for await (const entries of readEntries(db, { first, before: first + STORED_MAX })) {
        for (const { idx, body } of entries) stored.push({ index: idx, body, event: eventOf(body) })
      }
      return stored
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
        const at = await readStoredAt(db, middle)
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
