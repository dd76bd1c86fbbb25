import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  SERVICES,
  type Servers,
  type ServiceName,
  type ShippedService,
  startShipped,
  untilAllEnd,
} from '@postern/bootstrap'
import type { BenchWorld } from './bench-world.ts'
import { type Limits, type Part, partOf } from './stack.ts'

/**
 * A benchmark has fewer users than what it stands for, so one may do more than by default. What the
 * limits do is measured apart.
 */
const RAISED = {
  POSTERN_GATEWAY_CONNECTIONS_MAX: '100000',
  POSTERN_GATEWAY_REQUESTS_MAX: '100000',
  POSTERN_GATEWAY_REQUESTS_PER_USER_MAX: '100000',
  POSTERN_GATEWAY_STREAMS_PER_USER_MAX: '100000',
  POSTERN_GATEWAY_REQUESTS_PER_SECOND_PER_USER: '100000',
  POSTERN_GATEWAY_REQUESTS_BURST_PER_USER: '1000000',
}
/** Nobody is served any more when it is stopped. */
const NO_DRAIN = { POSTERN_GATEWAY_DRAIN_NOTICE_SECONDS: '0', POSTERN_GATEWAY_DRAIN_SECONDS: '1' }
/** All users are made from one address, and at once. */
const ONE_MAKES_ALL = { POSTERN_CONSOLE_REQUESTS_PER_MINUTE: '1000000' }

export type PosternServices = {
  part(name: ServiceName): Part
  logOf(name: ServiceName): string
  /** Stops it and starts it anew on its own address. */
  restart(name: ServiceName, limits: Limits): Promise<void>
}

/** Every service as it ships, each in a process of its own. */
export async function startServices(
  world: BenchWorld,
  { servers, bundles }: { servers: Servers; bundles: string },
): Promise<PosternServices> {
  const logs = join(world.dir, 'logs')
  const { closing } = world
  const running = new Map<ServiceName, ShippedService>()
  const runningOf = (name: ServiceName): ShippedService => {
    const service = running.get(name)
    if (service === undefined) throw new Error(`${name} does not run`)
    return service
  }

  async function start(name: ServiceName, limits: Limits): Promise<void> {
    const settings = { ...servers.environmentOf(name), ...settingsOf(name, limits) }
    running.set(name, await startShipped({ name, folder: bundles, settings, logs, closing }))
  }

  await untilAllEnd(SERVICES.map((name) => start(name, 'raised')))
  return {
    part: (name) => partOf(name, runningOf(name).child),
    logOf: (name) => readFileSync(runningOf(name).logFile, 'utf8'),
    async restart(name, limits) {
      await runningOf(name).child.stop()
      running.delete(name)
      await start(name, limits)
    },
  }
}

function settingsOf(name: ServiceName, limits: Limits): Readonly<Record<string, string>> {
  if (name === 'console') return ONE_MAKES_ALL
  if (name !== 'gateway') return {}
  return limits === 'raised' ? { ...RAISED, ...NO_DRAIN } : NO_DRAIN
}
