import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { eventually } from '@postern/bootstrap'
import {
  CLUSTER,
  type E2eWorld,
  joinFacts,
  type ServiceProcess,
  spawnAgent,
  words,
} from '@postern/e2e/support'
import { DRAIN } from './drain.ts'
import { type Stopped, stopped } from './stopped.ts'

/** The agents of the cluster: processes beside it, with what its pods would find. */
export type AgentPool = {
  /** In the order in which they started. */
  running(): readonly ServiceProcess[]
  /** One more, which is parked on every relay and hears of sessions when this resolves. */
  add(): Promise<void>
  /** Stops the oldest, as an upgrade does. */
  terminateOldest(): Promise<Stopped>
  lastWords(): string
  stop(): Promise<void>
}

const NAMESPACE = 'postern-system'
const READY_MS_MAX = 180_000

/** Two of them, parked on the relays of these addresses. */
export async function startAgentPool(
  world: E2eWorld,
  relays: readonly string[],
): Promise<AgentPool> {
  const cluster = world.cluster(CLUSTER)
  const token = await cluster.kubectl.ok(
    words(`create token postern-agent -n ${NAMESPACE} --duration=10h`),
  )
  const facts = { ...(await joinFacts(world, CLUSTER)), relays: relays.join(',') }
  const running: ServiceProcess[] = []
  let started = 0

  async function add(): Promise<void> {
    started += 1
    const agent = spawnAgent({
      dir: join(world.dir, `agent-${started}`),
      namespace: NAMESPACE,
      token: token.trim(),
      ca: readFileSync(cluster.ca, 'utf8'),
      kubernetes: new URL(cluster.server).host,
      facts,
      settings: { POSTERN_AGENT_DRAIN_SECONDS: String(DRAIN.seconds) },
    })
    running.push(agent)
    await eventually(`agent ${started} to be ready`, READY_MS_MAX, async () => {
      if (!relays.every((relay) => isParkedOn(agent, relay))) throw new Error(agent.output())
      const address = /"http":"([^"]+)"/.exec(agent.output())?.[1]
      const response = await fetch(`http://${address}/readyz`)
      if (!response.ok) throw new Error(await response.text())
    })
  }

  const pool: AgentPool = {
    running: () => running,
    add,
    async terminateOldest() {
      const agent = running.shift()
      if (agent === undefined) throw new Error('there is no agent')
      return await stopped(agent)
    },
    lastWords: () => running.map((agent) => agent.output().slice(-2000)).join('\n'),
    async stop() {
      await Promise.all(running.map((agent) => agent.kill()))
    },
  }
  try {
    await add()
    await add()
    return pool
  } catch (error) {
    await pool.stop()
    throw error
  }
}

function isParkedOn(agent: ServiceProcess, relay: string): boolean {
  return agent
    .output()
    .split('\n')
    .some((line) => line.includes('connected to relay') && line.includes(`"${relay}"`))
}
