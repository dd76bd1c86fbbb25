import { isDeepStrictEqual } from 'node:util'
import { Rejection } from '@postern/errors'
import type { Actor } from '@postern/eventing'
import type { SessionSignals } from '../signals.ts'
import type { AccessView } from './access-view.ts'
import type { ActivityStore } from './activity.ts'
import { whyEnd } from './end-rules.ts'
import type { Due, LiveSession, SessionRepository } from './session-repository.ts'

const actor: Actor = { by: 'service:session', cause: 'session.keep-sessions' }

/** One session that cannot be kept keeps none of the others from it; a database that is gone does. */
const FAILURES_MAX = 5
/** A minute of rounds. */
const ROUNDS_MAX = 60

/**
 * Ends every open session that may not go on, and asks for another account where grants changed.
 * What it concludes is always safe to conclude twice, so any number of processes may run it.
 *
 * A round judges all sessions where anything that judgements rest on has changed, when a grant begins or
 * ends by its time, after a failure, and once a minute whatever is known. Otherwise it judges those that
 * changed since the last round, and those whose own time is over; where there can be none, it asks for none.
 */
export function createKeepSessions(needs: {
  sessions: SessionRepository
  /** Where the log of sessions ends. @throws Error where the database does not say */
  head: () => Promise<{ readonly pos: bigint }>
  activity: ActivityStore
  access: AccessView
  now: () => Date
  idleSecondsMax: number
  signals: SessionSignals
}) {
  const { sessions, head, activity, access, now, idleSecondsMax, signals } = needs
  /** Starts anew with every failure: gateways could not be heard either. */
  let hearingSince: Date | undefined
  /** What the last judgement of all sessions rested on; `undefined` where it is to be made again. */
  let judgedBy: object | undefined
  /** How long judgements hold. */
  let holdUntil = Number.POSITIVE_INFINITY
  /** Sessions are judged as they were at this position. */
  let judgedPos = 0n
  /** Until then no session's own time is over; asked for where nothing has changed since the last judgement. */
  let quietUntil: number | undefined
  let rounds = 0

  async function keep(session: LiveSession, since: Date): Promise<void> {
    const at = now()
    const judgement = access.judge(session.user_id, session.cluster_id, at)
    holdUntil = Math.min(holdUntil, judgement.changesAt?.getTime() ?? Number.POSITIVE_INFINITY)
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

  async function isNobodyDue(at: Date): Promise<boolean> {
    if (quietUntil === undefined) {
      const nextDue = await sessions.nextDue(idleSecondsMax)
      quietUntil = nextDue?.getTime() ?? Number.POSITIVE_INFINITY
    }
    return at.getTime() < quietUntil
  }

  /** Answers whether it came to its end. */
  async function keepAll(since: Date, due: Due | undefined): Promise<boolean> {
    const failures: unknown[] = []
    for (let after = ''; ; ) {
      const page = await sessions.live(after, due)
      for (const session of page) {
        // While a log is read anew, what is missing says nothing.
        if (!access.ready()) return false
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
      return true
    }
  }

  function dueAt(at: Date, state: object): Due | undefined {
    const isKnown = judgedBy === state && at.getTime() < holdUntil
    if (!isKnown || rounds % ROUNDS_MAX === 0) return undefined
    const unusedSince = new Date(at.getTime() - idleSecondsMax * 1000)
    return { changedAfter: judgedPos, at, unusedSince }
  }

  return async (): Promise<void> => {
    if (!access.ready()) return
    const at = now()
    const state = access.state()
    const due = dueAt(at, state)
    try {
      // What changes while pages are read is judged in the next round.
      const { pos } = await head()
      hearingSince ??= at
      if (due === undefined) {
        judgedBy = undefined
        holdUntil = Number.POSITIVE_INFINITY
      }
      const isQuiet = due !== undefined && pos === judgedPos && (await isNobodyDue(at))
      if (!isQuiet && (await keepAll(hearingSince, due))) {
        if (due === undefined) judgedBy = state
        judgedPos = pos
        quietUntil = undefined
      }
      if (rounds % ROUNDS_MAX === 0) await activity.forget()
      rounds += 1
    } catch (error) {
      hearingSince = undefined
      judgedBy = undefined
      throw error
    }
  }
}
