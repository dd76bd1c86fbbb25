import { Rejection } from '@postern/errors'
import type { Log } from '@postern/telemetry'
import type { AccountOrder } from './account.ts'
import type { AccountKeeper } from './account-keeper.ts'

/**
 * Takes the stream of orders: checks each, and once everything was said tells the keeper which
 * sessions there are. What cannot be checked is refused and changes nothing.
 */
export function createOrderFollower<Signed>(needs: {
  readonly open: (signed: Signed) => AccountOrder
  readonly keeper: Pick<AccountKeeper, 'order' | 'named'>
  readonly onSynced: () => void
  readonly onRefused: (reason: string) => void
  readonly log: Log
}) {
  const { open, keeper, onSynced, onRefused, log } = needs
  let named = new Set<string>()
  /** One that could not be read may have named any session: nothing is concluded from silence then. */
  let isWhole = true
  let isSynced = false

  return {
    get isSynced() {
      return isSynced
    },
    onStart(): void {
      named = new Set()
      isWhole = true
      isSynced = false
    },
    onOrder(signed: Signed): void {
      try {
        const order = open(signed)
        named.add(order.sessionId)
        keeper.order(order)
      } catch (error) {
        if (!(error instanceof Rejection)) throw error
        isWhole = false
        onRefused(error.reason)
        log.error({ reason: error.reason }, 'account order refused')
      }
    },
    onSynced(): void {
      if (!isWhole) {
        log.error({}, 'orders were refused, so that nothing is removed for not being named')
        return
      }
      isSynced = true
      keeper.named(named)
      onSynced()
    },
    onLost(): void {
      isSynced = false
    },
  }
}
