import { X509Certificate } from 'node:crypto'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { natsConfig } from '@postern/local-servers'
import { natsUsers } from '../platform/environment.ts'
import { LOG_OWNERS, PARTS, prepareSecrets, type SecretFiles } from '../platform/secrets.ts'
import { containerSettings, NATS_PORT } from './container-settings.ts'
import { readDotEnv, setInDotEnv } from './dot-env.ts'

export type ComposeOrder = {
  /** Where the secrets lie. */
  readonly dir: string
  /** The file that docker compose reads beside docker-compose.yml. */
  readonly envFile: string
  /** DNS names people use for this installation, the main one first; none: as before. */
  readonly domains: readonly string[]
  readonly addressing?: string
  readonly now: Date
}

export type ComposePrepared = {
  readonly domain: string
  /** What was done and what to look at, a line each. */
  readonly notes: readonly string[]
}

/** The domain that the certificate is made for where nobody said one. */
const DOMAIN = 'localhost'
const OWN_AUTHORITY = 'CN=Postern local web authority'
const RENEW_WEB_DAYS = 30
const DAY_MS = 24 * 60 * 60 * 1000

/** The folder itself lets nobody in; what containers read in it must be readable to their users. */
const CLOSED = 0o700
const READABLE = 0o644
const WRITABLE_FOLDER = 0o777

/**
 * Generates what docker-compose.yml needs and is not there yet, and issues the parts' certificates
 * again: they live for a day, and a part that was off for longer cannot renew its own.
 *
 * @throws Error for a name or an addressing that cannot be used
 */
export async function prepareCompose(order: ComposeOrder): Promise<ComposePrepared> {
  const { dir, envFile, now } = order
  const before = existsSync(envFile) ? readFileSync(envFile, 'utf8') : ''
  const known = readDotEnv(before)
  const former = known['POSTERN_COMPOSE_DOMAINS']?.split(',') ?? [DOMAIN]
  const domains = order.domains.length > 0 ? order.domains : former
  for (const name of domains) checkDomain(name)
  const [domain = DOMAIN] = domains
  const addressing = checkAddressing(
    order.addressing ?? known['POSTERN_COMPOSE_ADDRESSING'] ?? 'path',
  )
  const isNew = !existsSync(join(dir, 'ca', 'ca.crt'))
  const names = webNames(domains)
  const notes = checkWebCertificate(dir, names, now)
  clearLeftovers(dir)
  const secrets = await prepareSecrets({
    dir,
    webDnsNames: names,
    webIpAddresses: ['127.0.0.1', '::1'],
    now,
  })
  writeContainerFiles(secrets)
  openToContainers(secrets)
  writeFileSync(
    envFile,
    setInDotEnv(before, {
      POSTERN_COMPOSE_SECRETS: pathFrom(dirname(envFile), dir),
      POSTERN_COMPOSE_DOMAIN: domain,
      POSTERN_COMPOSE_DOMAINS: domains.join(','),
      POSTERN_COMPOSE_ADDRESSING: addressing,
    }),
  )
  return {
    domain,
    notes: [
      isNew
        ? `made a certificate authority, passwords and keys in ${dir}`
        : `kept the certificate authority, passwords and keys of ${dir}`,
      `issued the certificates of ${PARTS.length} parts, for a day: they renew themselves while they run`,
      ...notes,
      `wrote ${envFile} (no secret in it)`,
    ],
  }
}

function webNames(domains: readonly string[]): string[] {
  const names = [...domains, ...domains.map((name) => `*.${name}`), DOMAIN]
  return [...new Set(names)]
}

/** Lets go of a web certificate of ours that does not fit or ends soon; says what is to be done about others. */
function checkWebCertificate(dir: string, names: readonly string[], now: Date): string[] {
  const file = join(dir, 'web.crt')
  if (!existsSync(file)) return [`made a web certificate for ${names.join(', ')}`]
  const certificate = new X509Certificate(readFileSync(file))
  const missing = names.filter(
    (name) => certificate.checkHost(name.replace('*', 'a')) === undefined,
  )
  const days = Math.floor((Date.parse(certificate.validTo) - now.getTime()) / DAY_MS)
  if (missing.length === 0 && days > RENEW_WEB_DAYS) {
    return [`kept the web certificate, good for ${days} days`]
  }
  if (certificate.issuer.includes(OWN_AUTHORITY)) {
    for (const name of ['web.key', 'web.crt', 'web-ca.crt'])
      rmSync(join(dir, name), { force: true })
    return [
      `made a new web certificate for ${names.join(', ')}: restart gateway and console, download kubeconfigs again, sign in again`,
    ]
  }
  const uncovered = missing.length === 0 ? '' : `, not for ${missing.join(', ')}`
  return [`left your own web certificate alone: it is good for ${days} days${uncovered}`]
}

/** A part that died while it wrote its certificate leaves a file that only it could write again. */
function clearLeftovers(dir: string): void {
  for (const { name } of PARTS) rmSync(join(dir, 'tls', name, 'tls.key.next'), { force: true })
}

function writeContainerFiles(secrets: SecretFiles): void {
  mkdirSync(join(secrets.dir, 'settings'), { recursive: true, mode: CLOSED })
  for (const owner of LOG_OWNERS) {
    writeFileSync(join(secrets.dir, 'settings', `${owner}.yaml`), containerSettings(owner, secrets))
  }
  const bus = natsConfig({
    host: '0.0.0.0',
    port: NATS_PORT,
    storeDir: '/var/lib/nats',
    users: natsUsers(secrets),
    monitor: '127.0.0.1:8222',
  })
  writeFileSync(join(secrets.dir, 'nats-server.conf'), bus)
  for (const role of ['admin', ...LOG_OWNERS]) secrets.password(`postgres-${role}`)
}

/**
 * A container's user is not the one who generated, and a mounted file keeps its owner. Each container
 * sees only what is mounted into it, and on this machine nobody gets past the closed folder.
 */
function openToContainers({ dir, caDir, tlsDir }: SecretFiles): void {
  chmodSync(dir, CLOSED)
  const readable = [
    ...['ca.key', 'ca.crt', 'roots.crt'].map((name) => join(caDir, name)),
    ...['audit-signing.key', 'web.crt', 'web.key', 'web-ca.crt', 'nats-server.conf'].map((name) =>
      join(dir, name),
    ),
    ...LOG_OWNERS.map((owner) => join(dir, 'settings', `${owner}.yaml`)),
    ...['admin', ...LOG_OWNERS].map((role) => join(dir, 'passwords', `postgres-${role}`)),
  ]
  for (const file of readable) chmodSync(file, READABLE)
  for (const { name } of PARTS) {
    const folder = tlsDir(name)
    chmodSync(folder, WRITABLE_FOLDER)
    for (const file of readdirSync(folder)) chmodSync(join(folder, file), READABLE)
  }
}

function checkDomain(name: string): void {
  if (/^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z][a-z0-9-]{0,61}$/.test(name)) return
  throw new Error(`"${name}" is not a DNS name in lower case, for example postern.example.com`)
}

function checkAddressing(text: string): string {
  if (text === 'host' || text === 'path') return text
  throw new Error(`--addressing is "host" or "path", not "${text}"`)
}

function pathFrom(folder: string, path: string): string {
  const way = relative(folder, path)
  return way.startsWith('..') ? path : `./${way}`
}
