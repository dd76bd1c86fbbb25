import { isDeepStrictEqual } from 'node:util'
import { Rejection } from '@postern/errors'
import type { Actor } from '@postern/eventing'
import type { SessionSignals } from '../signals.ts'
import type { AccessView } from './access-view.ts'
import type { ActivityStore } from './activity.ts'
import { whyEnd } from './end-rules.ts'
import type { LiveSession, SessionRepository } from './session-repository.ts'

const actor: Actor = { by: 'service:session', cause: 'session.keep-sessions' }

/** One session that cannot be kept keeps none of the others from it; a database that is gone does. */
const FAILURES_MAX = 5
/** A minute of rounds. */
const FORGET_EVERY_ROUNDS = 60

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
  signals: SessionSignals
}) {
  const { sessions, activity, access, now, idleSecondsMax, signals } = needs
  /** Starts anew with every failure: gateways could not be heard either. */
  let hearingSince: Date | undefined
  let rounds = 0

  async function keep(session: LiveSession, since: Date): Promise<void> {
    const at = now()
    const judgement = access.judge(session.user_id, session.cluster_id, at)
    const facts = {
      ...judgement,
      openedAt: new Date(session.opened_at),
      expiresAt: new Date(session.expires_at),
      lastActiveAt: session.lastActiveAt,
    }
    const reason = whyEnd(facts, at, { idleSecondsMax, hearingSince: since })
    if (reason !== undefined) {
      await sessions.execute(session.session_id, { type: 'EndSession', reason }, actor)
      signals.ended({ session: session.session_id, reason })
    } else if (!isDeepStrictEqual(judgement.bindings, session.bindings)) {
      const { bindings } = judgement
      await sessions.execute(session.session_id, { type: 'DesireAccount', bindings }, actor)
    }
  }

  async function keepAll(since: Date): Promise<void> {
    const failures: unknown[] = []
    for (let after = ''; ; ) {
      const page = await sessions.live(after)
      for (const session of page) {
        // While a log is read anew, what is missing says nothing.
        if (!access.ready()) return
        after = session.session_id
        try {
          await keep(session, since)
        } catch (error) {
          // Somebody else ended it in between: the next round finds it so.
          if (!(error instanceof Rejection)) failures.push(error)
        }
        if (failures.length >= FAILURES_MAX) throw failures[0]
      }
      if (page.length > 0) continue
      if (failures.length > 0) throw failures[0]
      return
    }
  }

  return async (): Promise<void> => {
    if (!access.ready()) return
    try {
      hearingSince ??= now()
      await keepAll(hearingSince)
      if (rounds % FORGET_EVERY_ROUNDS === 0) await activity.forget()
      rounds += 1
    } catch (error) {
      hearingSince = undefined
      throw error
    }
  }
}
