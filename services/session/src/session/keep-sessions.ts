import { isDeepStrictEqual } from 'node:util'
import type { Actor } from '@postern/eventing'
import type { Log } from '@postern/telemetry'
import type { AccessView } from './access-view.ts'
import type { ActivityStore } from './activity.ts'
import { whyEnd } from './end-rules.ts'
import type { SessionRepository, SessionRow } from './session-repository.ts'

const actor: Actor = { by: 'service:session', cause: 'session.keep-sessions' }

/**
 * Ends every open session that may not go on, and asks for another account where grants changed.
 * What it concludes is always safe to conclude twice, so any number of processes may run it.
 */
export function createKeepSessions(needs: {
  sessions: SessionRepository
  activity: ActivityStore
  access: AccessView
  now: () => Date
  idleSecondsMax: number
  log: Log
}) {
  const { sessions, activity, access, now, log } = needs

  async function keep(row: SessionRow, lastActiveAt: Date | undefined): Promise<void> {
    const judgement = access.judge(row.user_id, row.cluster_id, now())
    const facts = {
      ...judgement,
      openedAt: new Date(row.opened_at),
      expiresAt: new Date(row.expires_at),
      lastActiveAt,
    }
    const reason = whyEnd(facts, now(), needs.idleSecondsMax)
    if (reason !== undefined) {
      await sessions.execute(row.session_id, { type: 'EndSession', reason }, actor)
      log.info({ session: row.session_id, reason }, 'session ended')
    } else if (!isDeepStrictEqual(judgement.bindings, row.bindings)) {
      const { bindings } = judgement
      await sessions.execute(row.session_id, { type: 'DesireAccount', bindings }, actor)
    }
  }

  return async (): Promise<void> => {
    // Before the logs were read, everybody would seem to have no access.
    if (!access.ready()) return
    const [live, lastActive] = await Promise.all([sessions.live(), activity.lastActive()])
    for (const row of live) {
      try {
        await keep(row, lastActive.get(row.session_id))
      } catch (error) {
        log.warn({ session: row.session_id, error }, 'session could not be kept; trying again')
      }
    }
    await activity.forget()
  }
}
