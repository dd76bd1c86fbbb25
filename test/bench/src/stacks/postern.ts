import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  joinCluster,
  type Kubectl,
  SERVICES,
  type Servers,
  type ServiceName,
  shippedCommandOf,
  signInAdministrator,
  startShipped,
} from '@postern/bootstrap'
import type { Child } from '@postern/local-servers'
import { environment } from '../config.ts'
import { childrenOf, processOf } from '../processes.ts'
import type { BenchWorld } from './bench-world.ts'
import { openSessions } from './open-sessions.ts'
import { BENCH_CLUSTER, type Population, populate } from './population.ts'
import { type Part, partOf, type Stack } from './stack.ts'

/** What is put into images, bundled once for a run. */
export const SHIPPED = [...SERVICES, 'agent'] as const

/**
 * A benchmark has fewer users than what it stands for, so one may do more than by default. What the
 * limits do is measured apart.
 */
const SETTINGS: Readonly<Partial<Record<ServiceName, Readonly<Record<string, string>>>>> = {
  gateway: {
    POSTERN_GATEWAY_CONNECTIONS_MAX: '100000',
    POSTERN_GATEWAY_REQUESTS_MAX: '100000',
    POSTERN_GATEWAY_REQUESTS_PER_USER_MAX: '100000',
    POSTERN_GATEWAY_STREAMS_PER_USER_MAX: '100000',
    POSTERN_GATEWAY_REQUESTS_PER_SECOND_PER_USER: '100000',
    POSTERN_GATEWAY_REQUESTS_BURST_PER_USER: '1000000',
  },
  'tunnel-broker': {
    POSTERN_TUNNEL_BROKER_MANIFEST_FILE: join(environment.root, 'deploy/agent/manifest.yaml'),
  },
}

/** How a container of the agent's image runs the bundled agent, against that API server. */
export function agentCommand(bundles: string, kubernetes: string): string[] {
  const { env, args } = shippedCommandOf(bundles, 'agent')
  return [
    'env',
    ...Object.entries(env).map(([name, value]) => `${name}=${value}`),
    // A pod's volumes are links below the folder it starts in.
    'POSTERN_AGENT_SERVICE_ACCOUNT_DIR=var/run/secrets/kubernetes.io/serviceaccount',
    `POSTERN_AGENT_KUBERNETES=${kubernetes}`,
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
  const { servers, bundles, population } = order
  const { ports, secrets } = servers
  const logs = join(dir, 'logs')
  mkdirSync(logs, { recursive: true })
  const services = await step('services', () => startServices(world, servers, bundles, logs))
  const admin = await signInAdministrator({
    secrets,
    apiUrl: `https://127.0.0.1:${ports.console}`,
    setupToken: () => /psu_\S+/.exec(readFileSync(join(logs, 'identity.log'), 'utf8'))?.[0],
  })
  const tokens = await step('users, roles and grants', () => populate(admin.api, population))
  const tokensFile = join(dir, 'tokens')
  writeFileSync(tokensFile, tokens.join('\n'), { mode: 0o600 })
  await step('agent', () =>
    joinCluster({
      api: admin.api,
      kubectl: order.kubectl,
      ...BENCH_CLUSTER,
      installLevel: 'INSTALL_LEVEL_EDIT',
    }),
  )
  const address = `127.0.0.1:${ports.gateway}`
  const prefix = `/clusters/${BENCH_CLUSTER.name}`
  await step('sessions', () => openSessions({ address, prefix, caFile: secrets.webCaFile, tokens }))
  const part = (name: ServiceName): Part => {
    const child = services.get(name)
    if (child === undefined) throw new Error(`${name} was not started`)
    return partOf(name, child)
  }
  const agent = { name: 'agent', pid: processOf(join(bundles, 'agent/main.js')) }
  return {
    name: 'postern',
    address,
    prefix,
    caFile: secrets.webCaFile,
    tokensFile,
    hops: [part('gateway'), part('relay'), agent],
    beside: [
      part('audit'),
      part('session'),
      part('identity'),
      part('policy'),
      part('tunnel-broker'),
      part('console'),
      { name: 'nats-server', pid: servers.nats.current().pid },
      ...familyOf('postgres', servers.postgres.current().pid),
    ],
  }
}

async function startServices(
  world: BenchWorld,
  servers: Servers,
  folder: string,
  logs: string,
): Promise<ReadonlyMap<ServiceName, Child>> {
  const started = new Map<ServiceName, Child>()
  const start = async (name: ServiceName) => {
    const settings = { ...servers.environmentOf(name), ...SETTINGS[name] }
    const child = await startShipped({ name, folder, settings, logFile: join(logs, `${name}.log`) })
    world.closing.defer(name, () => child.stop())
    started.set(name, child)
  }
  // All of them, also when one fails: none may be left behind.
  for (const outcome of await Promise.allSettled(SERVICES.map(start))) {
    if (outcome.status === 'rejected') throw outcome.reason
  }
  return started
}

/** A server and its children, counted as one. */
function familyOf(name: string, pid: number): Part[] {
  return [pid, ...childrenOf(pid)].map((one) => ({ name, pid: one }))
}
