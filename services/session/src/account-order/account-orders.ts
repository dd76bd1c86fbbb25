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

/** How often the log is looked at when nobody says that something changed. */
const LOOK_AGAIN_MS = 500

/**
 * Everything that must exist, or go, in a cluster now; then `synced`; then every change, until the
 * signal. Orders repeat harmlessly: each says the whole wanted state of its session.
 */
export async function* watchOrders(
  sessions: SessionRepository,
  clusterId: string,
  signal: AbortSignal,
): AsyncGenerator<OrderMessage> {
  let pos = 0n
  for (let first = true; !signal.aborted; first = false) {
    for (const row of await sessions.changedSince(clusterId, pos)) {
      pos = row.pos
      yield { order: toOrder(row) }
    }
    if (first) yield { synced: true }
    await sessions.changed(LOOK_AGAIN_MS, signal)
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
