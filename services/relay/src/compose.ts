import type { Socket } from 'node:net'
import type { Composed, Runtime } from '@postern/service'
import { createRelayRegistry } from './adapters/relay-registry-client.ts'
import type { RelayConfig } from './config.ts'
import { createControlServer } from './control/control-server.ts'
import { relayLimits } from './limits.ts'
import { createPairings } from './pairing/pairing.ts'
import { createRelayPort } from './port/relay-port.ts'
import { createRelaySignals } from './signals.ts'

export async function composeRelay(
  runtime: Runtime<RelayConfig, unknown, never>,
): Promise<Composed> {
  const { config, trustDomain, identity, log, metrics, clients } = runtime
  const limits = relayLimits
  const signals = createRelaySignals(metrics)
  const pairings = createPairings<Socket>(limits)
  const common = { trustDomain, limits, pairings, signals, log }
  const control = createControlServer({ ...common, identity })
  const upstreams = {
    'tunnel-broker': addressOf(runtime, 'tunnel-broker'),
    session: addressOf(runtime, 'session'),
    join: config.joinAddress,
  }
  const port = createRelayPort({ ...common, control, upstreams })
  const { agentAddress, gatewayAddress } = config
  const registry = createRelayRegistry({ clients, agentAddress, gatewayAddress, log })
  return {
    rpc: [],
    async start() {
      const address = await port.listen(config.listen)
      log.info({ address }, 'relaying')
      registry.register()
    },
    ready: async () => (registry.registered ? undefined : 'not registered with tunnel-broker yet'),
    async stop() {
      registry.stop()
      await port.close(config.drainSeconds * 1000)
    },
  }
}

function addressOf(
  { addresses }: Pick<Runtime<RelayConfig, unknown, never>, 'addresses'>,
  service: 'tunnel-broker' | 'session',
): string {
  const address = addresses[service]
  if (address !== undefined) return address
  const setting = `POSTERN_${service.replace('-', '_').toUpperCase()}_ADDRESS`
  throw new Error(`${setting} must be set: agents reach ${service} through the relay`)
}
