import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { createClosingStack } from '@postern/lifecycle'
import {
  findNats,
  type LocalNats,
  type LocalPostgres,
  startNats,
  startPostgres,
} from '@postern/local-servers'
import type { RunningService } from '@postern/service'
import type { Log } from '@postern/telemetry'
import { environment } from '../config.ts'
import { prepareDatabases } from './databases.ts'
import { natsUsers, SERVICES, type ServiceName, serviceEnvironment } from './environment.ts'
import { keepPorts, type Ports } from './ports.ts'
import { prepareSecrets, type SecretFiles } from './secrets.ts'
import { createStartService } from './start-services.ts'
import type { Step } from './step.ts'

/** The whole platform on this machine: PostgreSQL, nats-server, and every service in this process. */
export type Platform = {
  readonly dir: string
  readonly ports: Ports
  readonly secrets: SecretFiles
  /** "https://127.0.0.1:…" of the public API. */
  readonly apiUrl: string
  readonly gatewayUrl: string
  /** The one-time set-up token, while there is no administrator. */
  setupToken(): string | undefined
  service(name: ServiceName): RunningService
  /** Settings of a service as it was started with them. */
  environmentOf(name: ServiceName): Readonly<Record<string, string>>
  /** The servers, to stop and start them in tests of faults. */
  readonly postgres: Restartable<LocalPostgres>
  readonly nats: Restartable<LocalNats>
  /** Everything in reverse. Never rejects. */
  stop(): Promise<void>
}

type Restartable<Server> = {
  current(): Server
  stop(signal?: NodeJS.Signals): Promise<void>
  start(): Promise<void>
}

/** Web names of this machine: clusters by path, or by name where `*.localhost` resolves. */
const WEB_NAMES = {
  webDnsNames: ['localhost', 'postern.localhost', '*.postern.localhost'],
  webIpAddresses: ['127.0.0.1', '::1'],
}

/** Starts everything on a folder that it keeps. Whatever was started is stopped when a part fails. */
export async function startPlatform(options: {
  dir: string
  log: Log
  step: Step
  logLevel?: string
}): Promise<Platform> {
  const { dir, log, step } = options
  mkdirSync(dir, { recursive: true, mode: 0o700 })
  const stack = createClosingStack({ log })
  try {
    return await start({ ...options, stack })
  } catch (cause) {
    await stack.close()
    throw new Error(`the platform could not be started; see ${join(dir, 'postern.log')}`, { cause })
  }

  async function start({ stack: closing }: { stack: ReturnType<typeof createClosingStack> }) {
    const ports = await keepPorts(dir)
    const secrets = await step('secrets and certificates', () =>
      prepareSecrets({ dir: join(dir, 'secrets'), ...WEB_NAMES, now: new Date() }),
    )
    const postgres = restartable(() =>
      startPostgres({ dir: join(dir, 'postgres'), port: ports.postgres, path: environment.path }),
    )
    closing.defer('PostgreSQL', () => postgres.stop())
    const program = findNats({ path: environment.path, toolsDir: environment.toolsDir })
    const nats = restartable(() =>
      startNats({
        dir: join(dir, 'nats'),
        port: ports.nats,
        users: natsUsers(secrets),
        program,
      }),
    )
    closing.defer('nats-server', () => nats.stop())
    await Promise.all([
      step('PostgreSQL', () => postgres.start()),
      step('nats-server', () => nats.start()),
    ])
    const databaseUrl = await step('databases', () =>
      prepareDatabases(postgres.current().url, (owner) => secrets.password(`postgres-${owner}`)),
    )
    const environmentOf = serviceEnvironment({
      dir,
      ports,
      secrets,
      databaseUrl,
      logLevel: options.logLevel ?? 'info',
    })
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
    // All of them, also when one fails: none may be left behind.
    const others = SERVICES.filter((name) => name !== 'identity').map(startOne)
    for (const outcome of await Promise.allSettled(others)) {
      if (outcome.status === 'rejected') throw outcome.reason
    }
    await step('ready', () => untilReady(running))
    return {
      dir,
      ports,
      secrets,
      apiUrl: `https://127.0.0.1:${ports.console}`,
      gatewayUrl: `https://127.0.0.1:${ports.gateway}`,
      setupToken: () => setupToken,
      service: (name: ServiceName) => {
        const service = running.get(name)
        if (service === undefined) throw new Error(`${name} was not started`)
        return service
      },
      environmentOf,
      postgres,
      nats,
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

function restartable<Server extends { stop(signal?: NodeJS.Signals): Promise<void> }>(
  start: () => Promise<Server>,
): Restartable<Server> {
  let server: Server | undefined
  return {
    current() {
      if (server === undefined) throw new Error('the server is stopped')
      return server
    },
    async stop(signal) {
      const running = server
      server = undefined
      await running?.stop(signal)
    },
    async start() {
      server = await start()
    },
  }
}
