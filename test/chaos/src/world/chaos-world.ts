import { eventually } from '@postern/bootstrap'
import { CLUSTER, type E2eWorld, startE2eWorld, words } from '@postern/e2e/support'
import { type AgentPool, startAgentPool } from './agent-pool.ts'
import { type RestartableGateway, startRestartableGateway } from './restartable-gateway.ts'
import { type RestartableRelay, startRestartableRelay } from './restartable-relay.ts'

/** Two gateways, two relays and two agents of one cluster, each in a process of its own, beside a platform. */
export type ChaosWorld = E2eWorld & {
  readonly gateways: readonly [RestartableGateway, RestartableGateway]
  readonly relays: readonly [RestartableRelay, RestartableRelay]
  readonly agents: AgentPool
}

const SERVED_MS_MAX = 180_000

export async function startChaosWorld(): Promise<ChaosWorld> {
  const e2e = await startE2eWorld()
  const stops: (() => Promise<void>)[] = [() => e2e.stop()]
  const stop = async () => {
    for (const one of stops.toReversed()) await one()
  }
  const started = async <T extends { stop(): Promise<void> }>(starting: Promise<T>): Promise<T> => {
    const one = await starting
    stops.push(() => one.stop())
    return one
  }
  try {
    const relays = await Promise.all([
      started(startRestartableRelay(e2e, 'relay-1')),
      started(startRestartableRelay(e2e, 'relay-2')),
    ])
    const relayAddresses = relays.map(({ gatewayWire }) => gatewayWire.address)
    const gateways = await Promise.all([
      started(startRestartableGateway(e2e, 'gateway-1', relayAddresses)),
      started(startRestartableGateway(e2e, 'gateway-2', relayAddresses)),
    ])
    const { kubectl } = e2e.cluster(CLUSTER)
    await kubectl.ok(words('scale deploy/postern-agent -n postern-system --replicas=0'))
    const wires = relays.map(({ agentWire }) => agentWire.address)
    const agents = await started(startAgentPool(e2e, wires))
    // Nothing goes another way.
    await e2e.platform.service('relay').stop()
    const world: ChaosWorld = { ...e2e, gateways, relays, agents, stop }
    await untilServed(world)
    return world
  } catch (error) {
    await stop()
    throw error
  }
}

async function untilServed(world: ChaosWorld): Promise<void> {
  const { secret } = await world.token('lead')
  for (const gateway of world.gateways) {
    await eventually(`${gateway.name} to serve`, SERVED_MS_MAX, async () => {
      const { status, text } = await gateway.current().ask(secret, { path: PODS })
      if (status !== 200) throw new Error(`${status} ${text} ${world.agents.lastWords()}`)
    })
  }
}

export const PODS = '/api/v1/namespaces/team/pods'
