import { generateKeyPairSync, randomBytes, X509Certificate } from 'node:crypto'
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  certificatesToPem,
  createCsr,
  createIntermediate,
  createRoot,
  createWebCertificate,
  openIssuer,
  toSpiffeId,
  writeIdentityFiles,
} from '@postern/pki'

export const TRUST_DOMAIN = 'postern.internal'

/** Whoever owns a log has a role in PostgreSQL and a user on the bus. */
export const LOG_OWNERS = ['identity', 'policy', 'session', 'tunnel-broker', 'audit'] as const
export type LogOwner = (typeof LOG_OWNERS)[number]

/** Every part that has a certificate of its own; identity issues itself one. */
export const PARTS = [
  { name: 'policy', spiffe: ['service', 'policy'], dnsNames: [`policy.${TRUST_DOMAIN}`] },
  { name: 'session', spiffe: ['service', 'session'], dnsNames: [`session.${TRUST_DOMAIN}`] },
  {
    name: 'tunnel-broker',
    spiffe: ['service', 'tunnel-broker'],
    dnsNames: [`tunnel-broker.${TRUST_DOMAIN}`, `join.${TRUST_DOMAIN}`],
  },
  { name: 'audit', spiffe: ['service', 'audit'], dnsNames: [`audit.${TRUST_DOMAIN}`] },
  { name: 'console', spiffe: ['service', 'console'], dnsNames: [`console.${TRUST_DOMAIN}`] },
  { name: 'gateway', spiffe: ['gateway', 'gateway-1'], dnsNames: [`gateway.${TRUST_DOMAIN}`] },
  { name: 'relay', spiffe: ['relay', 'relay-1'], dnsNames: [`relay.${TRUST_DOMAIN}`] },
] as const

const ROOT_LIFE_DAYS = 3650
const INTERMEDIATE_LIFE_DAYS = 365
const RENEW_INTERMEDIATE_DAYS = 60
const WEB_LIFE_DAYS = 365
const LEAF_LIFE_SECONDS = 24 * 60 * 60
const DAY_SECONDS = 24 * 60 * 60
const PASSWORD_BYTES = 24
/** The agent of a container may read only what is its own: uid of the images. */
const FOLDER_MODE = 0o700

/** Where everything lies that was generated once. Never in a repository, never in an image. */
export type SecretFiles = {
  readonly dir: string
  /** ca.key, ca.crt, roots.crt: identity's authority. */
  readonly caDir: string
  readonly tlsDir: (part: string) => string
  readonly auditKeyFile: string
  readonly webCertFile: string
  readonly webKeyFile: string
  readonly webCaFile: string
  readonly password: (of: string) => string
}

/**
 * Generates what is missing, and renews the parts' certificates: they live a day, and a part that was
 * off for longer could not renew its own.
 */
export async function prepareSecrets(options: {
  dir: string
  webDnsNames: readonly string[]
  webIpAddresses: readonly string[]
  now: Date
}): Promise<SecretFiles> {
  const files = secretFiles(options.dir)
  for (const dir of [files.dir, files.caDir, join(files.dir, 'passwords')]) makeFolder(dir)
  await prepareAuthority(files.caDir, options.now)
  await issueLeaves(files, options.now)
  if (!existsSync(files.auditKeyFile)) {
    const { privateKey } = generateKeyPairSync('ed25519')
    writeSecret(files.auditKeyFile, privateKey.export({ type: 'pkcs8', format: 'pem' }).toString())
  }
  if (!existsSync(files.webKeyFile)) {
    const { webDnsNames: dnsNames, webIpAddresses: ipAddresses, now } = options
    const web = await createWebCertificate({ dnsNames, ipAddresses, now, lifeDays: WEB_LIFE_DAYS })
    writeFileSync(files.webCertFile, web.cert)
    writeFileSync(files.webCaFile, web.ca)
    writeSecret(files.webKeyFile, web.key)
  }
  return files
}

function secretFiles(dir: string): SecretFiles {
  return {
    dir,
    caDir: join(dir, 'ca'),
    tlsDir: (part) => join(dir, 'tls', part),
    auditKeyFile: join(dir, 'audit-signing.key'),
    webCertFile: join(dir, 'web.crt'),
    webKeyFile: join(dir, 'web.key'),
    webCaFile: join(dir, 'web-ca.crt'),
    password: (of) => passwordOf(join(dir, 'passwords', of)),
  }
}

/** A random password, made at first use. */
function passwordOf(file: string): string {
  if (!existsSync(file)) writeSecret(file, randomBytes(PASSWORD_BYTES).toString('base64url'))
  return readFileSync(file, 'utf8')
}

async function prepareAuthority(dir: string, now: Date): Promise<void> {
  const rootFile = join(dir, 'roots.crt')
  const rootKeyFile = join(dir, 'root.key')
  if (!existsSync(rootFile)) {
    const name = 'Postern root'
    const root = await createRoot({ name, now, lifeSeconds: ROOT_LIFE_DAYS * DAY_SECONDS })
    writeSecret(rootKeyFile, root.key)
    writeFileSync(rootFile, root.cert)
  }
  const intermediateFile = join(dir, 'ca.crt')
  const daysLeft = existsSync(intermediateFile) ? daysUntilEnd(intermediateFile, now) : 0
  if (daysLeft > RENEW_INTERMEDIATE_DAYS) return
  if (!existsSync(rootKeyFile)) {
    if (daysLeft > 0) return
    throw new Error(
      `the authority's certificate has ended: put the root key back as ${rootKeyFile}, then again`,
    )
  }
  // Under the root that everybody trusts already: nobody has to be told.
  const root = { cert: readFileSync(rootFile, 'utf8'), key: readFileSync(rootKeyFile, 'utf8') }
  const below = { root, now, lifeSeconds: INTERMEDIATE_LIFE_DAYS * DAY_SECONDS }
  const authority = await createIntermediate({ name: 'Postern identity', ...below })
  writeSecret(join(dir, 'ca.key'), authority.key)
  writeFileSync(intermediateFile, authority.cert)
}

function daysUntilEnd(certificateFile: string, now: Date): number {
  const { validTo } = new X509Certificate(readFileSync(certificateFile))
  return (Date.parse(validTo) - now.getTime()) / 1000 / DAY_SECONDS
}

async function issueLeaves(files: SecretFiles, now: Date): Promise<void> {
  const read = (name: string) => readFileSync(join(files.caDir, name), 'utf8')
  const issuer = await openIssuer({ cert: read('ca.crt'), key: read('ca.key') })
  for (const { name, spiffe, dnsNames } of PARTS) {
    const dir = files.tlsDir(name)
    makeFolder(dir)
    const { csr, key } = await createCsr()
    const [kind, id] = spiffe
    const spiffeId = toSpiffeId(TRUST_DOMAIN, kind, id)
    const order = { csr, spiffeId, dnsNames, now, lifeSeconds: LEAF_LIFE_SECONDS }
    const { chain, notAfter } = await issuer.issueLeaf(order)
    const material = { cert: certificatesToPem(chain), key, ca: read('roots.crt'), notAfter }
    await writeIdentityFiles(dir, material)
  }
}

function makeFolder(dir: string): void {
  mkdirSync(dir, { recursive: true, mode: FOLDER_MODE })
  chmodSync(dir, FOLDER_MODE)
}

function writeSecret(file: string, text: string): void {
  writeFileSync(file, text, { mode: 0o600 })
}
