import { EventEmitter, once } from 'node:events'
import { type Kysely, sql } from 'kysely'
import type { SessionDatabase } from '../database.ts'
import { createRepeated } from '../repeated.ts'

/** How far somebody has seen the changes of one cluster's sessions. */
type Seen = { readonly log: number; readonly cluster: number }

/**
 * Says when a cluster's sessions changed, whoever changed them: one query of the process for all who
 * wait. What is noted before a read is a change after it at the worst once too often, never missed.
 */
export type SessionChanges = {
  start(): void
  stop(): Promise<void>
  /** Something changed, or may have: look at once. */
  look(): void
  seen(clusterId: string): Seen
  /** Resolves when there is more than was seen, when the time is up, or at the signal. */
  more(clusterId: string, seen: Seen, timeoutMs: number, signal: AbortSignal): Promise<void>
}

/** The log says when something changed; this is for what it should not have said. */
const LOOK_EVERY_MS = 5000

export function createSessionChanges(needs: {
  db: Kysely<SessionDatabase>
  onError: (error: unknown) => void
}): SessionChanges {
  const { db } = needs
  /** Under the id of a cluster: a change wakes those who wait for it, and nobody else. */
  const changed = new EventEmitter().setMaxListeners(0)
  const byCluster = new Map<string, number>()
  let logs = 0
  let pos = 0n

  async function look(): Promise<void> {
    const { rows } = await sql<{ cluster_id: string | null; pos: bigint }>`
      select cluster_id, max(pos) as pos from sessions where pos > ${pos} group by cluster_id
      union all select null, coalesce(max(pos), 0) from sessions`.execute(db)
    const head = rows.find((row) => row.cluster_id === null)?.pos ?? 0n
    if (head < pos) {
      // A log that is shorter than it was is another one: it was restored from a backup.
      logs += 1
      pos = 0n
      for (const clusterId of changed.eventNames()) changed.emit(clusterId)
      return
    }
    pos = rows.reduce((last, row) => (row.pos > last ? row.pos : last), pos)
    for (const { cluster_id: clusterId } of rows) {
      if (clusterId === null) continue
      byCluster.set(clusterId, (byCluster.get(clusterId) ?? 0) + 1)
      changed.emit(clusterId)
    }
  }

  const looking = createRepeated({ work: look, everyMs: LOOK_EVERY_MS, onError: needs.onError })
  const seen = (clusterId: string): Seen => ({ log: logs, cluster: byCluster.get(clusterId) ?? 0 })

  return {
    start: () => looking.start(),
    stop: () => looking.stop(),
    look: () => looking.soon(),
    seen,
    async more(clusterId, { log, cluster }, timeoutMs, signal) {
      const deadline = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)])
      const isOld = () => {
        const now = seen(clusterId)
        return now.log !== log || now.cluster !== cluster
      }
      while (!isOld() && !deadline.aborted) {
        await once(changed, clusterId, { signal: deadline }).catch(() => {})
      }
    },
  }
}
