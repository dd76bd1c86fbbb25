import { setTimeout } from 'node:timers/promises'
import { messageOf } from '@postern/errors'
import { RelayServiceDefinition } from '@postern/proto/postern/tunnelbroker/v1/cluster'
import type { RpcClients } from '@postern/rpc'
import type { Log } from '@postern/telemetry'

/** Tells tunnel-broker where this relay is: at start, and again until it has been heard. */
export type RelayRegistry = {
  register(): void
  readonly registered: boolean
  stop(): void
}

const RETRY_MS = 1000
const RETRY_MS_MAX = 15_000

export function createRelayRegistry(options: {
  readonly clients: RpcClients
  readonly agentAddress: string
  readonly gatewayAddress: string
  readonly log: Log
}): RelayRegistry {
  const { clients, agentAddress, gatewayAddress, log } = options
  const stopping = new AbortController()
  let registered = false

  async function registerUntilHeard(): Promise<void> {
    const { signal } = stopping
    for (let attempt = 0; !signal.aborted; attempt += 1) {
      try {
        const broker = clients.of(RelayServiceDefinition, 'tunnel-broker')
        await broker.registerRelay({ agentAddress, gatewayAddress })
        registered = true
        log.info({ agentAddress, gatewayAddress }, 'registered with tunnel-broker')
        return
      } catch (error) {
        const reason = messageOf(error)
        log.warn({ reason, attempt }, 'registering with tunnel-broker failed')
        const waitMs = Math.min(RETRY_MS_MAX, RETRY_MS * 2 ** Math.min(attempt, 10))
        await setTimeout(waitMs * (0.5 + Math.random() / 2), undefined, { signal, ref: false })
      }
    }
  }

  return {
    register() {
      registerUntilHeard().catch((error: unknown) => {
        if (!stopping.signal.aborted) log.error({ err: error }, 'registering ended')
      })
    },
    get registered() {
      return registered
    },
    stop: () => stopping.abort(),
  }
}
