import { type ClosingStack, createClosingStack } from '@postern/lifecycle'
import type { RunningService } from '@postern/service'
import type { Log } from '@postern/telemetry'
import { SERVICES, type ServiceName } from './environment.ts'
import { type Servers, startServers } from './start-servers.ts'
import { createStartService } from './start-services.ts'
import { type Step, untilAllEnd } from './step.ts'

/** The whole platform on this machine: PostgreSQL, nats-server, and every service in this process. */
export type Platform = Servers & {
  readonly dir: string
  /** "https://127.0.0.1:…" of the public API. */
  readonly apiUrl: string
  readonly gatewayUrl: string
  /** The one-time set-up token, while there is no administrator. */
  setupToken(): string | undefined
  service(name: ServiceName): RunningService
  /** Everything in reverse. Never rejects. */
  stop(): Promise<void>
}

/** Starts everything on a folder that it keeps. Whatever was started is stopped when a part fails. */
export async function startPlatform(options: {
  dir: string
  log: Log
  step: Step
  logLevel?: string
}): Promise<Platform> {
  const { dir, log, step } = options
  const stack = createClosingStack({ log })
  try {
    return await start({ ...options, stack })
  } catch (cause) {
    await stack.close()
    throw new Error('the platform could not be started', { cause })
  }

  async function start({ stack: closing }: { stack: ClosingStack }) {
    const servers = await startServers({ ...options, closing })
    const { ports, environmentOf } = servers
    let setupToken: string | undefined
    const startService = createStartService({
      log,
      onSetupToken: (token) => {
        setupToken = token
      },
    })
    const running = new Map<ServiceName, RunningService>()
    const startOne = async (name: ServiceName) => {
      const service = await step(name, () => startService(name, environmentOf(name)))
      running.set(name, service)
      closing.defer(name, () => service.stop())
    }
    // Everybody else asks identity who somebody is.
    await startOne('identity')
    await untilAllEnd(SERVICES.filter((name) => name !== 'identity').map(startOne))
    await step('ready', () => untilReady(running))
    return {
      ...servers,
      dir,
      apiUrl: `https://127.0.0.1:${ports.console}`,
      gatewayUrl: `https://127.0.0.1:${ports.gateway}`,
      setupToken: () => setupToken,
      service: (name: ServiceName) => {
        const service = running.get(name)
        if (service === undefined) throw new Error(`${name} was not started`)
        return service
      },
      stop: async () => await closing.close(),
    }
  }
}

const READY_MS_MAX = 60_000
const LOOK_AGAIN_MS = 50

async function untilReady(running: ReadonlyMap<ServiceName, RunningService>): Promise<void> {
  const deadline = Date.now() + READY_MS_MAX
  for (const [name, service] of running) {
    for (;;) {
      const reason = await service.ready()
      if (reason === undefined) break
      if (Date.now() > deadline) throw new Error(`${name} is not ready: ${reason}`)
      await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS))
    }
  }
}
