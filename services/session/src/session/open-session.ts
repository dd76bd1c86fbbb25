import { rejections } from '@postern/errors'
import type { Actor } from '@postern/eventing'
import { newId } from '@postern/ids'
import type { AccessView } from './access-view.ts'
import { accountName } from './account-name.ts'
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
  ACCOUNT_NOT_MADE: [
    'unavailable',
    'no agent of the cluster made the account in time; see "postern cluster show" for its agents',
  ],
})

/** How often the wait looks again when nobody says that something changed. */
const LOOK_AGAIN_MS = 250
const ATTEMPTS_MAX = 3
const ACCOUNT_RANDOM_BYTES = 5

/**
 * Answers the user's open session on the cluster, with its account made as the grants want it now;
 * opens one if there is none.
 *
 * @throws Rejection when nothing is granted, or no agent made the account in time
 */
export function createOpenSession(needs: {
  sessions: SessionRepository
  access: AccessView
  now: () => Date
  random: (bytes: number) => Uint8Array
  lifetimeSeconds: number
  waitMs: number
}) {
  const { sessions, access, now, random } = needs

  async function findOrOpen(userId: string, clusterId: string, actor: Actor): Promise<SessionRow> {
    const { bindings, userName } = judge(access, userId, clusterId, now())
    for (let attempt = 1; ; attempt += 1) {
      const open = await sessions.findOpen(userId, clusterId)
      if (open !== undefined) {
        await sessions.execute(open.session_id, { type: 'DesireAccount', bindings }, actor)
        return (await sessions.find(open.session_id)) ?? open
      }
      const sessionId = newId('session')
      const account = accountName(userId, clusterId, random(ACCOUNT_RANDOM_BYTES))
      const expiresAt = new Date(now().getTime() + needs.lifetimeSeconds * 1000).toISOString()
      const identity = { sessionId, userId, userName, clusterId, account, expiresAt }
      try {
        await sessions.execute(sessionId, { type: 'OpenSession', ...identity, bindings }, actor)
      } catch (error) {
        // Another request of the same user was first: its session serves both.
        if (attempt < ATTEMPTS_MAX && isReason(error, 'SESSION_EXISTS')) continue
        throw error
      }
      const opened = await sessions.find(sessionId)
      if (opened !== undefined) return opened
    }
  }

  return async (
    order: { userId: string; clusterId: string },
    actor: Actor,
    signal: AbortSignal,
  ): Promise<SessionRow> => {
    const found = await findOrOpen(order.userId, order.clusterId, actor)
    const deadline = now().getTime() + needs.waitMs
    for (let row = found; ; ) {
      if (row.state === 'active' && row.provisioned >= row.version) return row
      if (row.state === 'ending' || row.state === 'ended') throw rejected('NO_ACCESS')
      const left = deadline - now().getTime()
      if (left <= 0 || signal.aborted) throw rejected('ACCOUNT_NOT_MADE', { problem: row.problem })
      await sessions.changed(Math.min(left, LOOK_AGAIN_MS), signal)
      row = (await sessions.find(row.session_id)) ?? row
    }
  }
}

function judge(access: AccessView, userId: string, clusterId: string, at: Date) {
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

function isReason(error: unknown, reason: string): boolean {
  return error instanceof Error && 'reason' in error && error.reason === reason
}
