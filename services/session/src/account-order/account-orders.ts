import type { SessionChanges } from '../session/session-changes.ts'
import type { SessionRepository, SessionRow } from '../session/session-repository.ts'

/** The wanted state of one session's account, for the agents of its cluster. */
export type AccountOrder = {
  sessionId: string
  clusterId: string
  version: number
  wanted: boolean
  account: string
  userId: string
  userName: string
  bindings: SessionRow['bindings']
  expiresAt: string
}

export type OrderMessage = { order: AccountOrder } | { synced: true }

/** How long an agent may wait for what nobody told this process of. */
const LOOK_AGAIN_MS = 5000

/**
 * Everything that must exist, or go, in a cluster now; then `synced`; then every change, until the
 * signal, or until the log turns out to be another one: whoever watches then begins anew. Orders
 * repeat harmlessly: each says the whole wanted state of its session.
 */
export async function* watchOrders(
  { sessions, changes }: { sessions: SessionRepository; changes: SessionChanges },
  clusterId: string,
  signal: AbortSignal,
): AsyncGenerator<OrderMessage> {
  const first = changes.seen(clusterId)
  let isSynced = false
  for (let pos = 0n; !signal.aborted; ) {
    const seen = changes.seen(clusterId)
    if (seen.log !== first.log) return
    const rows = await sessions.changedSince(clusterId, pos)
    for (const row of rows) {
      pos = row.pos
      yield { order: toOrder(row) }
    }
    if (rows.length > 0) continue
    if (!isSynced) yield { synced: true }
    isSynced = true
    await changes.more(clusterId, seen, LOOK_AGAIN_MS, signal)
  }
}

function toOrder(row: SessionRow): AccountOrder {
  return {
    sessionId: row.session_id,
    clusterId: row.cluster_id,
    // The end of a session follows its last wanted version.
    version: row.state === 'ending' ? row.version + 1 : row.version,
    wanted: row.state !== 'ending',
    account: row.account,
    userId: row.user_id,
    userName: row.user_name,
    bindings: row.bindings,
    expiresAt: row.expires_at,
  }
}
