import { setTimeout } from 'node:timers/promises'
import type { TlsIdentity } from '@postern/pki'
import { createRpcClients, isUnreachable, type RpcClients } from '@postern/rpc'
import type { Log } from '@postern/telemetry'

/**
 * tunnel-broker and session, end to end through whichever relay answers: a relay splices by the server
 * name, and the certificate of the service is checked here.
 */
export type ControlPlane = {
  /** Through one relay after the other, once each, while they cannot be reached. */
  call<T>(work: (clients: RpcClients) => Promise<T>): Promise<T>
  /**
   * Keeps a stream up until the signal, or until the work throws an error that no relay mends.
   * `alive` says that the stream works; `attempt` ends it.
   */
  follow(
    name: string,
    signal: AbortSignal,
    work: (
      clients: RpcClients,
      stream: { readonly alive: () => void; readonly attempt: AbortSignal },
    ) => Promise<void>,
  ): Promise<void>
  close(): void
}

const RETRY_MS_MIN = 100
const RETRY_MS_MAX = 3_000
/** A stream on which nothing has come by then is tried through another relay. */
const FIRST_MESSAGE_MS = 10_000

export function createControlPlane(needs: {
  readonly relays: () => readonly string[]
  readonly identity: TlsIdentity
  readonly trustDomain: string
  readonly isFatal: (error: unknown) => boolean
  readonly log: Log
}): ControlPlane {
  const { relays, identity, trustDomain, isFatal, log } = needs
  const byRelay = new Map<string, RpcClients>()
  /** The relay that answered last. */
  let good: string | undefined

  function clientsOf(relay: string): RpcClients {
    const existing = byRelay.get(relay)
    if (existing !== undefined) return existing
    const addresses = { session: relay, 'tunnel-broker': relay }
    const clients = createRpcClients({ identity, trustDomain, addresses, log })
    byRelay.set(relay, clients)
    return clients
  }

  /** All relays there are now, the good one first. Connections to others are closed. */
  function inOrder(): readonly string[] {
    const wanted = relays()
    for (const [relay, clients] of byRelay) {
      if (wanted.includes(relay)) continue
      clients.close()
      byRelay.delete(relay)
    }
    return wanted.toSorted((left, right) => Number(right === good) - Number(left === good))
  }

  return {
    async call(work) {
      let failure: unknown = new Error('there is no relay')
      for (const relay of inOrder()) {
        try {
          const result = await work(clientsOf(relay))
          good = relay
          return result
        } catch (error) {
          if (!isUnreachable(error)) throw error
          failure = error
        }
      }
      throw failure
    },

    async follow(name, signal, work) {
      let failures = 0
      for (let turn = 0; !signal.aborted; turn += 1) {
        const order = inOrder()
        const relay = order[turn % Math.max(1, order.length)]
        const attempt = new AbortController()
        const end = () => attempt.abort()
        signal.addEventListener('abort', end, { once: true })
        const timer = globalThis.setTimeout(end, FIRST_MESSAGE_MS)
        const alive = () => {
          globalThis.clearTimeout(timer)
          if (failures > 0) log.info({ stream: name, relay }, 'stream is back')
          failures = 0
          turn = -1
          good = relay
        }
        try {
          if (relay === undefined) throw new Error('there is no relay')
          await work(clientsOf(relay), { alive, attempt: attempt.signal })
        } catch (error) {
          if (isFatal(error)) throw error
          if (!signal.aborted && failures === 0) {
            log.warn({ err: error, stream: name, relay }, 'stream lost')
          }
        } finally {
          globalThis.clearTimeout(timer)
          signal.removeEventListener('abort', end)
        }
        failures += 1
        await pause(failures, signal)
      }
    },

    close() {
      for (const clients of byRelay.values()) clients.close()
      byRelay.clear()
    },
  }
}

async function pause(failures: number, signal: AbortSignal): Promise<void> {
  const ceiling = Math.min(RETRY_MS_MIN * 2 ** Math.min(failures, 10), RETRY_MS_MAX)
  const delay = ceiling * (0.5 + Math.random() / 2)
  await setTimeout(delay, undefined, { signal, ref: false }).catch(() => undefined)
}
