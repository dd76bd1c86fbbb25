import {
  AgentSessionServiceDefinition,
  type ReportAccountRequest,
  type SignedAccountOrder,
} from '@postern/proto/postern/session/v1/session'
import { toRejection } from '@postern/rpc'
import type { AccountReport } from '../account/account-reports.ts'
import type { ControlPlane } from './control-plane.ts'

export type OrdersReceiver<Order> = {
  /** A new stream: everything comes again. */
  onStart(): void
  onOrder(order: Order): void
  /** Everything that must exist has come. */
  onSynced(): void
  /** The stream is lost; another follows. */
  onLost(): void
}

export function createSessionClient(controlPlane: ControlPlane) {
  return {
    /** What must exist, until the signal. Reconnects by itself. */
    async watchAccounts(
      receiver: OrdersReceiver<SignedAccountOrder>,
      signal: AbortSignal,
    ): Promise<void> {
      await controlPlane.follow('accounts', signal, async (clients, { alive, attempt }) => {
        const client = clients.of(AgentSessionServiceDefinition, 'session')
        receiver.onStart()
        try {
          for await (const { message } of client.watchAccounts({}, { signal: attempt })) {
            alive()
            if (message?.$case === 'order') receiver.onOrder(message.value)
            else if (message?.$case === 'synced') receiver.onSynced()
          }
        } finally {
          receiver.onLost()
        }
      })
    },

    async reportAccount(report: AccountReport): Promise<'taken' | 'refused'> {
      try {
        await controlPlane.call((clients) =>
          clients.of(AgentSessionServiceDefinition, 'session').reportAccount(toRequest(report)),
        )
        return 'taken'
      } catch (error) {
        const rejection = toRejection(error)
        // Not now is no refusal.
        if (rejection === undefined || rejection.category === 'unavailable') throw error
        return 'refused'
      }
    },
  }
}

function toRequest({ sessionId, version, result }: AccountReport): ReportAccountRequest {
  switch (result.kind) {
    case 'provisioned':
      return { sessionId, version, result: { $case: 'provisioned', value: true } }
    case 'removed':
      return { sessionId, version, result: { $case: 'removed', value: true } }
    case 'failed': {
      // Words of the cluster's API server; a call whose text holds a NUL is refused.
      const value = result.reason.replaceAll('\0', ' ')
      return { sessionId, version, result: { $case: 'failed', value } }
    }
  }
}
