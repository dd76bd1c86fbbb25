import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { ClosingStack } from '@postern/lifecycle'
import {
  findNats,
  type LocalNats,
  type LocalPostgres,
  startNats,
  startPostgres,
} from '@postern/local-servers'
import { environment } from '../config.ts'
import { prepareDatabases } from './databases.ts'
import { natsUsers, type ServiceName, serviceEnvironment } from './environment.ts'
import { claimPorts, type Ports } from './ports.ts'
import { prepareSecrets, type SecretFiles } from './secrets.ts'
import { type Step, untilAllEnd } from './step.ts'

/** Everything that services need to be started, on this machine. */
export type Servers = {
  readonly ports: Ports
  readonly secrets: SecretFiles
  /** The settings with which a service is started. */
  readonly environmentOf: (name: ServiceName) => Readonly<Record<string, string>>
  readonly postgres: Restartable<LocalPostgres>
  readonly nats: Restartable<LocalNats>
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

/** Secrets, PostgreSQL with its databases, and nats-server, on a folder that is kept. */
export async function startServers(options: {
  dir: string
  step: Step
  closing: ClosingStack
  logLevel?: string
}): Promise<Servers> {
  const { dir, step, closing } = options
  mkdirSync(dir, { recursive: true, mode: 0o700 })
  const ports = await claimPorts(dir)
  const secrets = await step('secrets and certificates', () =>
    prepareSecrets({ dir: join(dir, 'secrets'), ...WEB_NAMES, now: new Date() }),
  )
  const postgres = restartable(() =>
    startPostgres({ dir: join(dir, 'postgres'), port: ports.postgres, path: environment.path }),
  )
  closing.defer('PostgreSQL', () => postgres.stop())
  // Built the first time, where it is not installed.
  const program = await step('program of nats-server', () =>
    findNats({ path: environment.path, toolsDir: environment.toolsDir }),
  )
  const nats = restartable(() =>
    startNats({ dir: join(dir, 'nats'), port: ports.nats, users: natsUsers(secrets), program }),
  )
  closing.defer('nats-server', () => nats.stop())
  await untilAllEnd([
    step('PostgreSQL', () => postgres.start()),
    step('nats-server', () => nats.start()),
  ])
  const databaseUrl = await step('databases', () =>
    prepareDatabases(postgres.current().url, (owner) => secrets.password(`postgres-${owner}`)),
  )
  const logLevel = options.logLevel ?? 'info'
  const environmentOf = serviceEnvironment({ dir, ports, secrets, databaseUrl, logLevel })
  return { ports, secrets, environmentOf, postgres, nats }
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
