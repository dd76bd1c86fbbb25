import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createDatabase } from '@postern/fixtures'
import {
  certificatesFromPem,
  createCsr,
  createIntermediate,
  createRoot,
  openIssuer,
  staticTlsIdentity,
  toSpiffeId,
  toTlsMaterial,
} from '@postern/pki'
import { CertificateAuthorityServiceDefinition } from '@postern/proto/postern/identity/v1/certificate_authority'
import { GroupServiceDefinition } from '@postern/proto/postern/identity/v1/group'
import { TokenServiceDefinition } from '@postern/proto/postern/identity/v1/token'
import { UserServiceDefinition } from '@postern/proto/postern/identity/v1/user'
import { createRpcClients } from '@postern/rpc'
import { type RunningService, rebuildService, runService } from '@postern/service'
import { createLog } from '@postern/telemetry'
import pg from 'pg'
import { createIdentityService } from '../src/index.ts'

export const TRUST_DOMAIN = 'test.internal'
export const PASSWORD = 'correct horse battery'

/** Identity on real servers, with an authority of its own. */
export async function runIdentity(servers: { postgresUrl: string; natsUrl: string }) {
  const authority = await createAuthorityDir()
  const databaseUrl = await createDatabase(servers.postgresUrl)
  const lines: string[] = []
  const setupTokens: string[] = []
  const closing: (() => Promise<void> | void)[] = [authority.remove]
  let now = () => new Date()
  let running: RunningService | undefined

  const env = {
    POSTERN_TRUST_DOMAIN: TRUST_DOMAIN,
    POSTERN_NATS_URL: servers.natsUrl,
    POSTERN_IDENTITY_LISTEN: '127.0.0.1:0',
    POSTERN_IDENTITY_DATABASE_URL: databaseUrl,
    POSTERN_IDENTITY_CA_DIR: authority.dir,
  }
  const service = createIdentityService({
    onSetupToken: (setupToken) => void setupTokens.push(setupToken),
  })
  const log = createLog({ name: 'identity', stream: { write: (line) => void lines.push(line) } })

  async function start() {
    running = await runService(service, env, { log, now: () => now() })
  }

  function address(): string {
    const grpc = running?.addresses.grpc
    if (grpc === undefined) throw new Error('identity does not run')
    return grpc
  }

  /** The RPCs of identity, called by a part of Postern. */
  async function as(path: string) {
    const clients = createRpcClients({
      identity: await authority.identityOf(path),
      trustDomain: TRUST_DOMAIN,
      addresses: { identity: address() },
      log: createLog({ name: 'test', level: 'silent' }),
    })
    closing.push(() => clients.close())
    return {
      users: clients.of(UserServiceDefinition, 'identity'),
      groups: clients.of(GroupServiceDefinition, 'identity'),
      tokens: clients.of(TokenServiceDefinition, 'identity'),
      certificates: clients.of(CertificateAuthorityServiceDefinition, 'identity'),
    }
  }

  async function query<Row extends pg.QueryResultRow>(text: string): Promise<Row[]> {
    const client = new pg.Client({ connectionString: databaseUrl })
    await client.connect()
    try {
      await client.query('set search_path to identity')
      return (await client.query<Row>(text)).rows
    } finally {
      await client.end()
    }
  }

  await start()
  return {
    address,
    as,
    authority,
    query,
    /** Everything that was logged. */
    logged: () => lines.join(''),
    /** The set-up tokens that were handed out, latest last. */
    setupTokens,
    setClock: (clock: () => Date) => {
      now = clock
    },
    rebuild: async () => await rebuildService(service, env, { verify: true, say: () => undefined }),
    async restart() {
      await running?.stop()
      await start()
    },
    async stop() {
      await running?.stop()
      for (const close of closing.toReversed()) await close()
    },
  }
}

export type RunningIdentity = Awaited<ReturnType<typeof runIdentity>>
export type IdentityRpc = Awaited<ReturnType<RunningIdentity['as']>>

/** Sets up, and answers what an administrator calls with. */
export async function setUp(identity: RunningIdentity, rpc: IdentityRpc) {
  const setupToken = identity.setupTokens.at(-1)
  if (setupToken === undefined) throw new Error('no set-up token was handed out')
  const answer = await rpc.tokens.setUp({ setupToken, userName: 'root', password: PASSWORD })
  return { secret: answer.secret, as: { userToken: answer.secret } }
}

async function createAuthorityDir() {
  const dir = await mkdtemp(join(tmpdir(), 'postern-ca-'))
  const now = new Date()
  const day = 24 * 60 * 60
  const root = await createRoot({ name: 'root', now, lifeSeconds: 30 * day })
  const order = { name: 'intermediate', now, lifeSeconds: 20 * day, root }
  const intermediate = await createIntermediate(order)
  await writeFile(join(dir, 'ca.crt'), intermediate.cert)
  await writeFile(join(dir, 'ca.key'), intermediate.key)
  await writeFile(join(dir, 'roots.crt'), root.cert)
  const issuer = await openIssuer(intermediate)

  return {
    dir,
    roots: certificatesFromPem(root.cert),
    remove: async () => await rm(dir, { recursive: true, force: true }),
    async identityOf(path: string) {
      const { csr, key } = await createCsr()
      const spiffeId = toSpiffeId(TRUST_DOMAIN, ...path.split('/'))
      const leaf = await issuer.issueLeaf({ csr, spiffeId, dnsNames: [], now, lifeSeconds: day })
      const roots = certificatesFromPem(root.cert)
      return staticTlsIdentity(toTlsMaterial({ chain: leaf.chain, roots, key }))
    },
  }
}
