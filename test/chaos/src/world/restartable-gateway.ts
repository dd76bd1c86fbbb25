import { eventually, findPort } from '@postern/bootstrap'
import { type E2eWorld, type GatewayProcess, startGatewayProcess } from '@postern/e2e/support'
import type { Target } from './balancer.ts'
import { DRAIN } from './drain.ts'
import { type Stopped, stopped } from './stopped.ts'

/** A gateway that comes back at the same address, with the spool that it left. */
export type RestartableGateway = {
  readonly name: string
  /** For a balancer. */
  readonly target: Target
  current(): GatewayProcess
  /** As an upgrade stops it. */
  terminate(): Promise<Stopped>
  /** Resolves when it is ready. */
  start(): Promise<void>
  stop(): Promise<void>
}

const READY_MS_MAX = 180_000

export async function startRestartableGateway(
  world: E2eWorld,
  name: string,
  relayAddresses: readonly string[],
): Promise<RestartableGateway> {
  const [port, httpPort] = [await findPort(), await findPort()]
  const readiness = `http://127.0.0.1:${httpPort}/readyz`
  const settings = {
    POSTERN_GATEWAY_LISTEN: `127.0.0.1:${port}`,
    POSTERN_GATEWAY_HTTP_LISTEN: `127.0.0.1:${httpPort}`,
    POSTERN_GATEWAY_RELAY_ADDRESSES: relayAddresses.join(','),
    POSTERN_GATEWAY_DRAIN_NOTICE_SECONDS: String(DRAIN.noticeSeconds),
    POSTERN_GATEWAY_DRAIN_SECONDS: String(DRAIN.seconds),
  }
  let current = await startGatewayProcess(world, name, { settings })
  return {
    name,
    target: { host: '127.0.0.1', port, readiness },
    current: () => current,
    terminate: () => stopped(current),
    async start() {
      current = await startGatewayProcess(world, name, { settings, again: true })
      await eventually(`${name} to be ready`, READY_MS_MAX, async () => {
        const response = await fetch(readiness)
        if (!response.ok) throw new Error(await response.text())
      })
    },
    stop: () => current.kill(),
  }
}
