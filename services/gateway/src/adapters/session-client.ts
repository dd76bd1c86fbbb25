import { SessionServiceDefinition } from '@postern/proto/postern/session/v1/session'
import { type RpcClients, toRejection } from '@postern/rpc'
import type { Activity } from '../session/session-activity.ts'
import { type GatewaySession, SessionRefusedError } from '../session/session-directory.ts'

/** Longer than the session service itself waits for an account. */
const OPEN_DEADLINE_MS = 20_000
const DENIALS: readonly string[] = ['permission_denied', 'not_found', 'failed_precondition']

/** The session service, as a gateway uses it. */
export function createSessionClient(clients: RpcClients) {
  const service = clients.of(SessionServiceDefinition, 'session')
  return {
    /** @throws SessionRefusedError */
    async open(userId: string, clusterId: string): Promise<GatewaySession> {
      try {
        const answer = await service.openSession(
          { userId, clusterId },
          { deadlineMs: OPEN_DEADLINE_MS },
        )
        const { session } = answer
        if (session === undefined) throw new Error('the session service answered without a session')
        const { id, account, expiresAt } = session
        const expiresAtMs = Date.parse(expiresAt ?? '') || 0
        return { id, userId: session.userId, clusterId: session.clusterId, account, expiresAtMs }
      } catch (cause) {
        const rejection = toRejection(cause)
        if (rejection === undefined) throw cause
        const denied = DENIALS.includes(rejection.category)
        const details = Object.values(rejection.details).filter((detail) => detail !== '')
        const message = [rejection.message, ...details].join(': ')
        throw new SessionRefusedError(message, { cause, denied })
      }
    },

    async report(activities: readonly Activity[]): Promise<void> {
      await service.reportActivity({
        activities: activities.map(({ sessionId, lastActiveAt, openStreams }) => ({
          sessionId,
          lastActiveAt: lastActiveAt.toISOString(),
          openStreams,
        })),
      })
    },
  }
}
