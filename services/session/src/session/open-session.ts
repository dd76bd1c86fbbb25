import { Rejection, rejections } from '@postern/errors'
import type { Actor } from '@postern/eventing'
import { newId } from '@postern/ids'
import type { SessionSignals } from '../signals.ts'
import type { AccessView, Judgement } from './access-view.ts'
import { accountName } from './account-name.ts'
import type { ActivityStore } from './activity.ts'
import { END_REASONS } from './session.ts'
import type { SessionChanges } from './session-changes.ts'
import type { SessionRepository, SessionRow } from './session-repository.ts'

const rejected = rejections({
  NO_ACCESS: ['permission_denied', 'no grant gives the user anything on this cluster'],
  USER_DISABLED: ['permission_denied', 'the user is disabled or unknown'],
  CLUSTER_NOT_FOUND: ['not_found', 'there is no such cluster'],
  GRANTS_NOT_COVERED: [
    'failed_precondition',
    "the roles that the agent's manifest installed on this cluster cover none of the user's grants; join the cluster again with a higher install level",
  ],
  STARTING: ['unavailable', 'the session service is still reading the logs; try again'],
  SESSION_JUST_ENDED: ['unavailable', 'the session was ended while it was opened; try again'],
})

/** How often the wait looks again when nobody says that something changed. */
const LOOK_AGAIN_MS = 1000
/** A right that a gateway knows already may be on its way here. */
const ARRIVAL_MS_MAX = 1500
const ATTEMPTS_MAX = 5
const ACCOUNT_RANDOM_BYTES = 5

/**
 * Answers the user's open session on the cluster, with its account made as the grants want it now;
 * opens one if there is none.
 *
 * @throws Rejection when nothing is granted, or no agent made the account in time
 */
export function createOpenSession(needs: {
  sessions: SessionRepository
  changes: SessionChanges
  activity: ActivityStore
  access: AccessView
  now: () => Date
  random: (bytes: number) => Uint8Array
  lifetimeSeconds: number
  waitMs: number
  signals: SessionSignals
}) {
  const { sessions, changes, activity, access, now, random, signals } = needs

  async function open(
    userId: string,
    clusterId: string,
    judgement: Judgement,
    actor: Actor,
  ): Promise<string> {
    const { bindings, userName } = judgement
    const sessionId = newId('session')
    const account = accountName(userId, clusterId, random(ACCOUNT_RANDOM_BYTES))
    const expiresAt = new Date(now().getTime() + needs.lifetimeSeconds * 1000).toISOString()
    const identity = { sessionId, userId, userName, clusterId, account, expiresAt }
    await sessions.execute(sessionId, { type: 'OpenSession', ...identity, bindings }, actor)
    signals.opened({ session: sessionId, user: userId, cluster: clusterId })
    return sessionId
  }

  /** Wants the account as the grants are now. Answers whether the session can go on being used. */
  async function reuse(session: SessionRow, { bindings }: Judgement, actor: Actor) {
    const { session_id: sessionId } = session
    if (now() >= new Date(session.expires_at)) {
      const command = { type: 'EndSession' as const, reason: END_REASONS.expired }
      await sessions.execute(sessionId, command, actor)
      return false
    }
    await sessions.execute(sessionId, { type: 'DesireAccount', bindings }, actor)
    return true
  }

  async function findOrOpen(userId: string, clusterId: string, actor: Actor): Promise<string> {
    for (let attempt = 1; ; attempt += 1) {
      const judgement = mustHaveAccess(access, userId, clusterId, now())
      const found = await sessions.findOpen(userId, clusterId)
      try {
        if (found === undefined) return await open(userId, clusterId, judgement, actor)
        if (await reuse(found, judgement, actor)) return found.session_id
      } catch (error) {
        // Another request opened one first, or somebody ended the one that was found.
        if (attempt >= ATTEMPTS_MAX || !isReason(error, 'SESSION_EXISTS', 'SESSION_ENDED')) {
          throw error
        }
      }
      if (attempt >= ATTEMPTS_MAX) throw rejected('SESSION_JUST_ENDED')
    }
  }

  async function untilMade(
    sessionId: string,
    clusterId: string,
    signal: AbortSignal,
  ): Promise<SessionRow> {
    const deadline = AbortSignal.any([signal, AbortSignal.timeout(needs.waitMs)])
    for (;;) {
      const seen = changes.seen(clusterId)
      const row = await sessions.find(sessionId)
      if (row === undefined) throw rejected('SESSION_JUST_ENDED')
      if (row.state === 'ending' || row.state === 'ended') throw whyEnded(row.end_reason)
      if (row.state === 'active' && row.provisioned >= row.version) return row
      if (deadline.aborted) {
        signals.accountLate({ session: sessionId, problem: row.problem })
        throw accountNotMade(row.problem)
      }
      await changes.more(clusterId, seen, LOOK_AGAIN_MS, deadline)
    }
  }

  return async (
    order: { userId: string; clusterId: string },
    actor: Actor,
    signal: AbortSignal,
  ): Promise<SessionRow> => {
    const { userId, clusterId } = order
    const isAllowed = () => access.ready() && access.judge(userId, clusterId, now()).hasAccess
    await access.until(isAllowed, ARRIVAL_MS_MAX, signal)
    const sessionId = await findOrOpen(userId, clusterId, actor)
    // Who opens a session uses it: it must not end as idle before the first report.
    await activity.note([{ sessionId, lastActiveAt: now(), openStreams: 0 }])
    return await untilMade(sessionId, clusterId, signal)
  }
}

/** @throws Rejection that says what is missing */
function mustHaveAccess(
  access: AccessView,
  userId: string,
  clusterId: string,
  at: Date,
): Judgement {
  if (!access.ready()) throw rejected('STARTING')
  const judgement = access.judge(userId, clusterId, at)
  if (judgement.user === 'disabled') throw rejected('USER_DISABLED')
  if (!judgement.clusterExists) throw rejected('CLUSTER_NOT_FOUND')
  if (!judgement.hasAccess) throw rejected('NO_ACCESS')
  if (judgement.bindings.length === 0 && judgement.uncovered.length > 0) {
    throw rejected('GRANTS_NOT_COVERED', { grants: judgement.uncovered.join('; ') })
  }
  return judgement
}

function whyEnded(reason: number): Rejection {
  switch (reason) {
    case END_REASONS.grantEnded:
      return rejected('NO_ACCESS')
    case END_REASONS.userDisabled:
      return rejected('USER_DISABLED')
    case END_REASONS.clusterRemoved:
      return rejected('CLUSTER_NOT_FOUND')
    default:
      return rejected('SESSION_JUST_ENDED')
  }
}

/** Whoever waits at kubectl reads this: it says what the agent said. */
function accountNotMade(problem: string): Rejection {
  const message =
    problem === ''
      ? 'no agent of the cluster made the account in time; see "postern cluster show" for its agents'
      : `the agent of the cluster could not make the account: ${problem}`
  return new Rejection('ACCOUNT_NOT_MADE', 'unavailable', message, { problem })
}

function isReason(error: unknown, ...reasons: readonly string[]): boolean {
  return error instanceof Rejection && reasons.includes(error.reason)
}
