import { execFile, execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { createConnection } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { freePort, startChild, untilReady } from './child.ts'
import { findGo, findProgram } from './find-program.ts'
import { endLeftover } from './leftover.ts'

const VERSION_MIN = [2, 12] as const
const MODULE = 'github.com/nats-io/nats-server/v2@v2.15.2'
const START_MS_MAX = 20_000
const BUILD_MS_MAX = 10 * 60_000

/** Who may connect. Whoever may not publish everything hears only the answers to what he asks. */
export type NatsUser = {
  readonly user: string
  readonly password: string
  /** Subjects; everything when absent. */
  readonly publish?: readonly string[]
}

export type LocalNats = {
  readonly port: number
  readonly pid: number
  /** Where its program came from, for people. */
  readonly origin: string
  stop(signal?: NodeJS.Signals): Promise<void>
}

/** Starts nats-server with JetStream that syncs every message to disk before it acknowledges. */
export async function startNats(options: {
  dir: string
  port?: number
  users: readonly NatsUser[]
  program: NatsProgram
}): Promise<LocalNats> {
  mkdirSync(options.dir, { recursive: true, mode: 0o700 })
  const configFile = join(options.dir, 'nats-server.conf')
  const pidFile = join(options.dir, 'nats-server.pid')
  await endLeftover({ pidFile, folder: configFile })
  const port = options.port ?? (await freePort())
  const config = natsConfig({
    host: '127.0.0.1',
    port,
    storeDir: join(options.dir, 'jetstream'),
    users: options.users,
  })
  writeFileSync(configFile, config, { mode: 0o600 })
  const logFile = join(options.dir, 'nats-server.log')
  writeFileSync(logFile, '')
  const child = startChild({
    command: options.program.file,
    args: ['-c', configFile],
    logFile,
    pidFile,
  })
  await untilReady('nats-server', child, START_MS_MAX, async () => {
    const socket = createConnection(port, '127.0.0.1')
    try {
      await once(socket, 'data', { signal: AbortSignal.timeout(1000) })
    } finally {
      socket.destroy()
    }
  })
  return {
    port,
    pid: child.process.pid ?? 0,
    origin: options.program.origin,
    stop: (signal) => child.stop(signal),
  }
}

/**
 * A nats-server.conf (JSON is one): JetStream on that folder, every message on the disk before it is
 * acknowledged; with `monitor`, health and numbers over plain HTTP there.
 */
export function natsConfig(options: {
  host: string
  port: number
  storeDir: string
  users: readonly NatsUser[]
  monitor?: string
}): string {
  const users = options.users.map(({ user, password, publish }) => ({
    user,
    password,
    ...(publish === undefined ? {} : { permissions: { publish, subscribe: '_INBOX.>' } }),
  }))
  const config = {
    host: options.host,
    port: options.port,
    ...(options.monitor === undefined ? {} : { http: options.monitor }),
    max_payload: 1_048_576,
    jetstream: {
      store_dir: options.storeDir,
      sync_interval: 'always',
      max_memory_store: 67_108_864,
      max_file_store: 10_737_418_240,
    },
    authorization: { users },
  }
  return JSON.stringify(config, undefined, 2)
}

export type NatsProgram = { readonly file: string; readonly origin: string }

/**
 * Finds nats-server: on PATH, in the tools folder, or built there once with Go (about a minute).
 *
 * @throws Error that says what is missing and how to get it
 */
export async function findNats(options: {
  path: string | undefined
  toolsDir: string
}): Promise<NatsProgram> {
  const onPath = findProgram('nats-server', options.path)
  if (onPath !== undefined && isRecent(onPath)) return { file: onPath, origin: 'PATH' }
  const built = findProgram('nats-server', options.toolsDir)
  if (built !== undefined && isRecent(built)) return { file: built, origin: 'tools folder' }
  const go = findGo(options.path)
  if (go === undefined) {
    throw new Error(
      'nats-server 2.12 or newer is needed and was not found: install it (https://docs.nats.io, brew install nats-server), or install Go (https://go.dev/dl) so that it can be built here',
    )
  }
  mkdirSync(options.toolsDir, { recursive: true })
  await promisify(execFile)(go, ['install', MODULE], {
    timeout: BUILD_MS_MAX,
    // oxlint-disable-next-line node/no-process-env -- Go needs HOME and its own settings
    env: { ...process.env, GOBIN: options.toolsDir, CGO_ENABLED: '0' },
  })
  return { file: join(options.toolsDir, 'nats-server'), origin: 'built with Go' }
}

function isRecent(program: string): boolean {
  const version = /v(\d+)\.(\d+)/.exec(execFileSync(program, ['--version'], { encoding: 'utf8' }))
  const [major, minor] = [Number(version?.[1]), Number(version?.[2])]
  return major > VERSION_MIN[0] || (major === VERSION_MIN[0] && minor >= VERSION_MIN[1])
}
