import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import {
  joinCluster,
  type Kubectl,
  SERVICES,
  type Servers,
  shippedCommandOf,
  signInAdministrator,
} from '@postern/bootstrap'
import { environment } from '../config.ts'
import { childrenOf, processOf } from '../processes.ts'
import type { BenchWorld } from './bench-world.ts'
import { openSessions } from './open-sessions.ts'
import { BENCH_CLUSTER, type Population, populate } from './population.ts'
import { startServices } from './postern-services.ts'
import type { Part, Stack } from './stack.ts'

/** What is put into images, bundled once for a run. */
export const SHIPPED = [...SERVICES, 'agent'] as const

const AGENT_MS_MAX = 60_000
const LOOK_AGAIN_MS = 100

/** How a container of the agent's image runs the bundled agent, against that API server. */
export function agentCommand(bundles: string, kubernetes: string): string[] {
  const { env, args } = shippedCommandOf(bundles, 'agent')
  return [
    'env',
    ...Object.entries(env).map(([name, value]) => `${name}=${value}`),
    // A pod's volumes are links below the folder it starts in.
    'POSTERN_AGENT_SERVICE_ACCOUNT_DIR=var/run/secrets/kubernetes.io/serviceaccount',
    `POSTERN_AGENT_KUBERNETES=${kubernetes}`,
    // Nobody is served any more when it is stopped.
    'POSTERN_AGENT_DRAIN_SECONDS=1',
    environment.node,
    ...args,
  ]
}

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
  const agentFile = join(bundles, 'agent/main.js')
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
      { name: 'agent', pid: processOf(agentFile) },
    ],
    beside: [
      services.part('audit'),
      services.part('session'),
      services.part('identity'),
      services.part('policy'),
      services.part('tunnel-broker'),
      services.part('console'),
      { name: 'nats-server', pid: servers.nats.current().pid },
      ...familyOf('postgres', servers.postgres.current().pid),
    ],
    api: admin.api,
    async renew(limits) {
      await kubectl.ok(['delete', 'pod', '--all', '--namespace', 'postern-system'])
      await services.restart('relay', limits)
      await services.restart('gateway', limits)
      await untilRuns(agentFile)
      await untilServed()
      return stackNow()
    },
  })
  return stackNow()
}

async function untilRuns(file: string): Promise<void> {
  const deadline = Date.now() + AGENT_MS_MAX
  for (;;) {
    try {
      processOf(file)
      return
    } catch (error) {
      if (Date.now() > deadline) throw error
    }
    await setTimeout(LOOK_AGAIN_MS)
  }
}

/** A server and its children, counted as one. */
function familyOf(name: string, pid: number): Part[] {
  return [pid, ...childrenOf(pid)].map((one) => ({ name, pid: one }))
}
