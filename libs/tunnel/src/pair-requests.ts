import type { ControlMessage, RefusalReason } from './control-message.ts'
import type { Purpose } from './purpose.ts'

export type PairAnswer =
  | { readonly type: 'paired'; readonly number: string }
  | { readonly type: 'refused'; readonly reason: RefusalReason | 'lost' | 'silent' }

/** Questions to relays for a pair, each with its answer. */
export type PairRequests = {
  ask(
    relay: { readonly address: string; send(message: ControlMessage): boolean },
    wanted: { readonly clusterId: string; readonly purpose: Purpose },
    deadlineMs: number,
    signal: AbortSignal,
  ): Promise<PairAnswer>
  onMessage(address: string, message: ControlMessage): void
  /** No answer will come from there. */
  onLost(address: string): void
}

export function createPairRequests(): PairRequests {
  const waiting = new Map<number, { address: string; settle: (answer: PairAnswer) => void }>()
  let lastId = 0

  const settle = (id: number, address: string, answer: PairAnswer) => {
    const request = waiting.get(id)
    if (request?.address === address) request.settle(answer)
  }

  return {
    ask: (relay, wanted, deadlineMs, signal) =>
      new Promise((resolve, reject) => {
        signal.throwIfAborted()
        lastId += 1
        const requestId = lastId
        const end = () => {
          clearTimeout(timer)
          signal.removeEventListener('abort', abort)
          waiting.delete(requestId)
        }
        const settleOnce = (answer: PairAnswer) => {
          end()
          resolve(answer)
        }
        const abort = () => {
          end()
          reject(signal.reason)
        }
        const timer = setTimeout(
          () => settleOnce({ type: 'refused', reason: 'silent' }),
          deadlineMs,
        )
        signal.addEventListener('abort', abort, { once: true })
        waiting.set(requestId, { address: relay.address, settle: settleOnce })
        if (!relay.send({ type: 'pair', requestId, ...wanted })) {
          settleOnce({ type: 'refused', reason: 'lost' })
        }
      }),
    onMessage(address, message) {
      if (message.type === 'paired') {
        settle(message.requestId, address, { type: 'paired', number: message.number })
      } else if (message.type === 'refused') {
        settle(message.requestId, address, { type: 'refused', reason: message.reason })
      }
    },
    onLost(address) {
      for (const request of waiting.values()) {
        if (request.address === address) request.settle({ type: 'refused', reason: 'lost' })
      }
    },
  }
}
