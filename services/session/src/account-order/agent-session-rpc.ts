import { rejections } from '@postern/errors'
import { parseId } from '@postern/ids'
import type { TlsIdentity } from '@postern/pki'
import {
  AgentSessionServiceDefinition,
  type ReportAccountRequest,
} from '@postern/proto/postern/session/v1/session'
import { type Peer, register } from '@postern/rpc'
import type { AccessView } from '../session/access-view.ts'
import type { SessionCommand } from '../session/session.ts'
import type { SessionChanges } from '../session/session-changes.ts'
import type { SessionRepository } from '../session/session-repository.ts'
import { toSignedOrder } from './account-order-codec.ts'
import { watchOrders } from './account-orders.ts'
import { isServing, untilServing } from './agent-standing.ts'

const rejected = rejections({
  NO_CLUSTER: ['permission_denied', "the agent's certificate names no cluster"],
  NOT_YOUR_SESSION: ['permission_denied', 'the session is not on the cluster of this agent'],
  EMPTY_REPORT: ['invalid_argument', 'a report says provisioned, removed or failed'],
})

export function createAgentSessionRpc(needs: {
  sessions: SessionRepository
  changes: SessionChanges
  access: AccessView
  identity: TlsIdentity
}) {
  const { sessions, changes, access, identity } = needs
  return register(AgentSessionServiceDefinition, {
    async *watchAccounts(_request, { call }) {
      const { clusterId, agentId } = agentOf(call.peer)
      await untilServing(access, { clusterId, agentId }, call.signal)
      for await (const message of watchOrders({ sessions, changes }, clusterId, call.signal)) {
        // Removed while it watches: it connects again, and is told.
        if (!isServing(access, clusterId, agentId)) return
        if ('synced' in message) {
          yield { message: { $case: 'synced', value: true } }
        } else {
          const value = toSignedOrder(message.order, identity.current())
          yield { message: { $case: 'order', value } }
        }
      }
    },

    async reportAccount(request, { call }) {
      const { clusterId, agentId } = agentOf(call.peer)
      const sessionId = parseId('session', request.sessionId)
      await untilServing(access, { clusterId, agentId }, call.signal)
      const row = await sessions.find(sessionId)
      if (row?.cluster_id !== clusterId) throw rejected('NOT_YOUR_SESSION')
      await sessions.execute(sessionId, toCommand(request, agentId), call.actor)
      return {}
    },
  })
}

function agentOf({ clusterId, id: agentId }: Peer): { clusterId: string; agentId: string } {
  if (clusterId === undefined) throw rejected('NO_CLUSTER')
  return { clusterId, agentId }
}

function toCommand(request: ReportAccountRequest, agentId: string): SessionCommand {
  const { version, result } = request
  switch (result?.$case) {
    case 'provisioned':
      return { type: 'RecordProvisioned', version, agentId }
    case 'failed':
      return { type: 'RecordFailed', version, agentId, reason: result.value }
    case 'removed':
      return { type: 'RecordRemoved', agentId }
    case undefined:
      throw rejected('EMPTY_REPORT')
  }
}
