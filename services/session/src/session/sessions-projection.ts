import type { Projection } from '@postern/eventing'
import type { SessionDatabase } from '../database.ts'
import { type SessionEvent, sessionRejected } from './session.ts'

/** Every session with what is wanted of its account. At most one is open per user and cluster. */
export const sessionsProjection: Projection<SessionDatabase, SessionEvent> = {
  name: 'sessions',
  version: 1,
  tables: ['sessions'],
  conflicts: { sessions_one_open: () => sessionRejected('SESSION_EXISTS') },

  async apply(db, { event, pos, at }) {
    if (event.type === 'SessionOpened') {
      const opened = {
        session_id: event.sessionId,
        user_id: event.userId,
        user_name: event.userName,
        cluster_id: event.clusterId,
        account: event.account,
        state: 'opening' as const,
        version: 0,
        bindings: '[]',
        provisioned: 0,
        problem: '',
        opened_at: at,
        expires_at: event.expiresAt,
        end_reason: 0,
        pos,
      }
      await db.insertInto('sessions').values(opened).execute()
      return
    }
    const change = changeBy(event)
    const row = db.updateTable('sessions').where('session_id', '=', event.sessionId)
    await row.set({ ...change, pos }).execute()
  },
}

function changeBy(event: Exclude<SessionEvent, { type: 'SessionOpened' }>) {
  switch (event.type) {
    case 'AccountDesired':
      return { version: event.version, bindings: JSON.stringify(event.bindings), problem: '' }
    case 'AccountProvisioned':
      return { provisioned: event.version, state: 'active' as const, problem: '' }
    case 'AccountFailed':
      return { problem: event.reason }
    case 'SessionEnded':
      return { state: 'ending' as const, end_reason: event.reason }
    case 'AccountRemoved':
      return { state: 'ended' as const }
  }
}
