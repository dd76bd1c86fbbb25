import { rejections } from '@postern/errors'
import { isId, parseId } from '@postern/ids'
import {
  type Session,
  type SessionActivity,
  SessionServiceDefinition,
  SessionState,
} from '@postern/proto/postern/session/v1/session'
import { type Call, cutPage, parsePage, register } from '@postern/rpc'
import type { AccessView } from './access-view.ts'
import type { Activity, ActivityStore } from './activity.ts'
import type { createOpenSession } from './open-session.ts'
import { END_REASONS } from './session.ts'
import type { SessionRepository, SessionRow } from './session-repository.ts'

const rejected = rejections({
  SESSION_NOT_FOUND: ['not_found', 'there is no such session'],
  USER_NOT_FOUND: ['not_found', 'there is no such user'],
  NOT_YOURS: ['permission_denied', "only your own sessions: others' need session.sessions.list"],
  TOO_MANY: ['invalid_argument', 'at most 1000 activities in a report'],
  STARTING: ['unavailable', 'the session service is still reading the logs; try again'],
})

const ACTIVITIES_MAX = 1000

export function createSessionRpc(needs: {
  sessions: SessionRepository
  activity: ActivityStore
  access: AccessView
  openSession: ReturnType<typeof createOpenSession>
  now: () => Date
}) {
  const { sessions, activity, access, openSession, now } = needs

  /** A user's own session, or anyone's with the permission. What is not yours does not exist. */
  async function findFor(call: Call, permission: string, id: string): Promise<SessionRow> {
    const row = await sessions.find(parseId('session', id))
    if (row === undefined) throw rejected('SESSION_NOT_FOUND')
    if (!call.can(permission) && row.user_id !== call.user?.userId) {
      throw rejected('SESSION_NOT_FOUND')
    }
    return row
  }

  function listedUser(call: Call, reference: string): string | undefined {
    const own = call.user?.userId
    const all = call.can('session.sessions.list')
    if (reference === '*' && all) return undefined
    if (reference !== '' && !isId(reference) && !access.ready()) throw rejected('STARTING')
    const userId = reference === '' ? own : access.findUser(reference)
    if (!all && userId !== own) throw rejected('NOT_YOURS')
    if (userId === undefined) throw rejected('USER_NOT_FOUND')
    return userId
  }

  return register(SessionServiceDefinition, {
    async openSession(request, { call }) {
      const order = {
        userId: parseId('user', request.userId),
        clusterId: parseId('cluster', request.clusterId),
      }
      return { session: toSession(await openSession(order, call.actor, call.signal)) }
    },

    async reportActivity(request) {
      if (request.activities.length > ACTIVITIES_MAX) throw rejected('TOO_MANY')
      await activity.note(toActivities(request.activities, now()))
      return {}
    },

    async listSessions(request, { call }) {
      const page = parsePage(request)
      const found = await sessions.list({
        userId: listedUser(call, request.user),
        ended: request.ended,
        before: page.after === '' ? undefined : parseId('session', page.after),
        limit: page.limit + 1,
      })
      const { rows, nextPageToken } = cutPage(found, page, ({ session_id: id }) => id)
      return { sessions: rows.map(toSession), nextPageToken }
    },

    async getSession(request, { call }) {
      return { session: toSession(await findFor(call, 'session.sessions.get', request.sessionId)) }
    },

    async endSession(request, { call }) {
      const row = await findFor(call, 'session.sessions.end', request.sessionId)
      const own = row.user_id === call.user?.userId
      const reason = own ? END_REASONS.logout : END_REASONS.revoked
      await sessions.execute(row.session_id, { type: 'EndSession', reason }, call.actor)
      return {}
    },
  })
}

/** Each session once. A gateway whose clock is ahead keeps no session alive for longer. */
function toActivities(reported: readonly SessionActivity[], now: Date): Activity[] {
  const latest = new Map<string, Activity>()
  for (const { sessionId: id, lastActiveAt: at, openStreams } of reported) {
    const sessionId = parseId('session', id)
    const moment = new Date(at ?? 0)
    const lastActiveAt = moment > now ? now : moment
    const known = latest.get(sessionId)
    if (known !== undefined && known.lastActiveAt >= lastActiveAt) continue
    latest.set(sessionId, { sessionId, lastActiveAt, openStreams })
  }
  return [...latest.values()]
}

const STATES = {
  opening: SessionState.SESSION_STATE_OPENING,
  active: SessionState.SESSION_STATE_ACTIVE,
  ending: SessionState.SESSION_STATE_ENDING,
  ended: SessionState.SESSION_STATE_ENDED,
} as const

function toSession(row: SessionRow): Session {
  return {
    id: row.session_id,
    userId: row.user_id,
    userName: row.user_name,
    clusterId: row.cluster_id,
    account: row.account,
    state: STATES[row.state],
    openedAt: row.opened_at,
    expiresAt: row.expires_at,
    endReason: toEndReason(row.end_reason),
    problem: row.problem,
  }
}

function toEndReason(number: number): Session['endReason'] {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a number that came from this enum
  return number as Session['endReason']
}
