import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import {
  joinCluster,
  type Kubectl,
  SERVICES,
  type Servers,
  shippedAgentProcess,
  signInAdministrator,
} from '@postern/bootstrap'
import type { BenchWorld } from './bench-world.ts'
import { openSessions } from './open-sessions.ts'
import { BENCH_CLUSTER, type Population, populate } from './population.ts'
import { startServices } from './postern-services.ts'
import type { Stack } from './stack.ts'

/** What is put into images, bundled once for a run. */
export const SHIPPED = [...SERVICES, 'agent'] as const

const AGENT_MS_MAX = 60_000
const LOOK_AGAIN_MS = 100

/** Every service as it ships, each in a process of its own, and the agent joined to the cluster. */
export async function startPostern(
  world: BenchWorld,
  order: { servers: Servers; bundles: string; kubectl: Kubectl; population: Population },
): Promise<Stack> {
  const { dir, step } = world
  const { servers, bundles, kubectl, population } = order
  const { ports, secrets } = servers
  const services = await step('services', () => startServices(world, { servers, bundles }))
  const admin = await signInAdministrator({
    secrets,
    apiUrl: `https://127.0.0.1:${ports.console}`,
    setupToken: () => /psu_\S+/.exec(services.logOf('identity'))?.[0],
  })
  const tokens = await step('users, roles and grants', () => populate(admin.api, population))
  const tokensFile = join(dir, 'tokens')
  writeFileSync(tokensFile, tokens.join('\n'), { mode: 0o600 })
  await step('agent', () =>
    joinCluster({
      api: admin.api,
      kubectl,
      ...BENCH_CLUSTER,
      installLevel: 'INSTALL_LEVEL_EDIT',
    }),
  )
  const address = `127.0.0.1:${ports.gateway}`
  const prefix = `/clusters/${BENCH_CLUSTER.name}`
  const untilServed = () => openSessions({ address, prefix, caFile: secrets.webCaFile, tokens })
  await step('sessions', untilServed)

  const stackNow = (): Stack => ({
    name: 'postern',
    address,
    prefix,
    caFile: secrets.webCaFile,
    tokensFile,
    hops: [
      services.part('gateway'),
      services.part('relay'),
      { name: 'agent', pid: shippedAgentProcess(bundles) },
    ],
    beside: [
      services.part('audit'),
      services.part('session'),
      services.part('identity'),
      services.part('policy'),
      services.part('tunnel-broker'),
      services.part('console'),
      { name: 'nats-server', pid: servers.nats.current().pid },
      { name: 'postgres', pid: servers.postgres.current().pid },
    ],
    api: admin.api,
    async renew(limits) {
      await kubectl.ok(['delete', 'pod', '--all', '--namespace', 'postern-system'])
      await services.restart('relay', limits)
      await services.restart('gateway', limits)
      await untilAgentRuns(bundles)
      await untilServed()
      return stackNow()
    },
  })
  return stackNow()
}

async function untilAgentRuns(bundles: string): Promise<void> {
  const deadline = Date.now() + AGENT_MS_MAX
  for (;;) {
    try {
      shippedAgentProcess(bundles)
      return
    } catch (error) {
      if (Date.now() > deadline) throw error
    }
    await setTimeout(LOOK_AGAIN_MS)
  }
}
