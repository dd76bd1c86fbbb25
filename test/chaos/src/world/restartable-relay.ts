import { join } from 'node:path'
import { findPort } from '@postern/bootstrap'
import {
  certificateOf,
  type E2eWorld,
  installationAuthority,
  installationRoots,
  startTcpProxy,
  type TcpProxy,
} from '@postern/e2e/support'
import { parseTlsMaterial } from '@postern/pki'
import { DRAIN } from './drain.ts'
import { type RelayProcess, startRelayProcess } from './relay-process.ts'
import { type Stopped, stopped } from './stopped.ts'

/** A relay that comes back at the same address, with a wire to it for agents, and one for gateways. */
export type RestartableRelay = {
  readonly name: string
  readonly agentWire: TcpProxy
  readonly gatewayWire: TcpProxy
  current(): RelayProcess
  /** As an upgrade stops it. */
  terminate(): Promise<Stopped>
  /** Resolves when it relays. */
  start(): Promise<void>
  stop(): Promise<void>
}

const TRUST_DOMAIN = 'postern.internal'

export async function startRestartableRelay(
  world: E2eWorld,
  name: string,
): Promise<RestartableRelay> {
  const port = await findPort()
  const target = { host: '127.0.0.1', port }
  const [agentWire, gatewayWire] = [await startTcpProxy(target), await startTcpProxy(target)]
  const credentials = await certificateOf(installationAuthority(world), `relay/${name}`)
  const material = parseTlsMaterial({ ...credentials, ca: installationRoots(world) })
  const start = () =>
    startRelayProcess({
      dir: join(world.dir, name),
      material,
      trustDomain: TRUST_DOMAIN,
      listen: `127.0.0.1:${port}`,
      settings: {
        ...servicesOf(world),
        POSTERN_RELAY_AGENT_ADDRESS: agentWire.address,
        POSTERN_RELAY_GATEWAY_ADDRESS: gatewayWire.address,
        POSTERN_RELAY_DRAIN_SECONDS: String(DRAIN.seconds),
      },
    })
  let current = await start()
  return {
    name,
    agentWire,
    gatewayWire,
    current: () => current,
    terminate: () => stopped(current),
    async start() {
      current = await start()
    },
    async stop() {
      await current.kill()
      await Promise.all([agentWire.close(), gatewayWire.close()])
    },
  }
}

/** Where the relay of the platform finds the services. */
function servicesOf({ platform }: E2eWorld): Record<string, string> {
  const settings = Object.entries(platform.environmentOf('relay'))
  return Object.fromEntries(settings.filter(([name]) => name.endsWith('_ADDRESS')))
}
