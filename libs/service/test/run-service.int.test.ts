import { createConnection } from 'node:net'
import { createDatabase } from '@postern/fixtures'
import { sha256 } from '@postern/pki'
import { createTestAuthority } from '@postern/pki/testing'
import { EventLogServiceDefinition } from '@postern/proto/postern/eventlog/v1/event_log'
import { CertificateAuthorityServiceDefinition } from '@postern/proto/postern/identity/v1/certificate_authority'
import { createRpcClients, createRpcServer, register } from '@postern/rpc'
import { openDoors, sweepRpcs } from '@postern/rpc/testing'
import { type RunningService, rebuildService, runService } from '@postern/service'
import { createMetrics } from '@postern/telemetry'
import { createMemoryLog, createSilentLog } from '@postern/telemetry/testing'
import pg from 'pg'
import { expect, inject, test, vi } from 'vitest'
import { type FixtureRuntime, fixtureEnvironment, fixtureService } from './fixture-service.ts'

const natsUrl = inject('natsUrl')

const SOMEBODY = {
  userId: '01900000-0000-7000-8000-000000000001',
  userName: 'somebody',
  groupIds: [],
  platformRole: 'none',
  tokenId: '01900000-0000-7000-8000-000000000002',
} as const

async function fixture(given: { natsUrl?: string; path?: string; lifeSeconds?: number } = {}) {
  const authority = await createTestAuthority()
  const databaseUrl = await createDatabase(inject('postgresUrl'))
  const environment = await fixtureEnvironment(authority, { natsUrl, databaseUrl, ...given })
  return { authority, databaseUrl, ...environment }
}

test('a service starts, is ready, serves its log to those who may, and leaves nothing open', async () => {
  await using given = await fixture()
  const unprivilegedToken = 'ptk_of-somebody-without-a-role'
  const authenticateUser = async (hash: Uint8Array) =>
    Buffer.compare(hash, sha256(unprivilegedToken)) === 0 ? SOMEBODY : undefined
  const service = fixtureService(async () => ({ rpc: [], authenticateUser }))
  const running = await runService(service, given.env, { log: createSilentLog() })
  expect(running.addresses.grpc).toMatch(/^127\.0\.0\.1:[1-9]\d*$/)
  expect(await get(running, '/livez')).toMatchObject({ status: 200 })
  expect(await get(running, '/readyz')).toMatchObject({
    status: 200,
    body: '{"ready":true,"reasons":{}}\n',
  })
  expect((await get(running, '/metrics')).status).toBe(200)

  const address = running.addresses.grpc ?? ''
  const { trustDomain, identity } = given.authority
  const clients = createRpcClients({
    identity: await identity('gateway/g1'),
    trustDomain,
    addresses: { policy: address },
    log: createSilentLog(),
  })
  const events = await clients.of(EventLogServiceDefinition, 'policy').readEvents({})
  expect(events).toMatchObject({ head: 0n, events: [] })
  clients.close()
  const answers = await sweepRpcs({
    address,
    trustDomain,
    serverPath: 'service/policy',
    registrations: ['postern.eventlog.v1.EventLogService'],
    identityOf: identity,
    unprivilegedToken,
  })
  expect(openDoors(answers)).toEqual([])

  await running.stop()
  expect(await isOpen(address)).toBe(false)
  expect(await isOpen(running.addresses.http)).toBe(false)
})

test('what starts stops in reverse, and is not ready while it stops', async () => {
  await using given = await fixture()
  const seen: string[] = []
  let running: RunningService | undefined
  const service = fixtureService(async () => ({
    rpc: [],
    start: async () => void seen.push('start'),
    ready: async () => (seen.includes('late') ? 'something is missing' : undefined),
    stop: async () => void seen.push(`stop while ${await running?.ready()}`),
  }))
  running = await runService(service, given.env, { log: createSilentLog() })
  expect(await running.ready()).toBeUndefined()
  seen.push('late')
  expect(await get(running, '/readyz')).toMatchObject({
    status: 503,
    body: '{"ready":false,"reasons":{"service":"something is missing"}}\n',
  })
  await Promise.all([running.stop(), running.stop()])
  expect(seen).toEqual(['start', 'late', 'stop while stopping'])
})

test('a service that cannot start says which it is and why, and closes what it opened', async () => {
  await using given = await fixture()
  let seen: FixtureRuntime | undefined
  const stopped: string[] = []
  const broken = fixtureService(async (runtime) => {
    seen = runtime
    return {
      rpc: [],
      start: async () => await Promise.reject(new Error('the moon is full')),
      stop: async () => void stopped.push('stopped'),
    }
  })
  const error = await runService(broken, given.env, { log: createSilentLog() }).catch(
    (thrown: unknown) => thrown,
  )
  expect(error).toMatchObject({
    message: 'policy cannot start',
    cause: { message: 'the moon is full' },
  })
  expect(stopped).toEqual(['stopped'])
  await expect(seen?.db.selectNoFrom([]).execute()).rejects.toThrow(/destroyed|driver/)
})

test('without a bus it starts and serves all the same', async () => {
  await using given = await fixture({ natsUrl: 'nats://127.0.0.1:1' })
  const running = await runService(fixtureService(), given.env, { log: createSilentLog() })
  expect((await get(running, '/readyz')).status).toBe(200)
  await running.stop()
})

test('a PostgreSQL that drops every connection is not the end: the service is ready again', async () => {
  await using given = await fixture()
  const running = await runService(fixtureService(), given.env, { log: createSilentLog() })
  const client = new pg.Client({ connectionString: inject('postgresUrl') })
  await client.connect()
  const database = new URL(given.databaseUrl).pathname.slice(1)
  const dropAll = async () => {
    await running.ready()
    const sql = 'select pg_terminate_backend(pid) from pg_stat_activity where datname = $1'
    const { rowCount } = await client.query(sql, [database])
    expect(rowCount).toBeGreaterThan(0)
  }
  await vi.waitFor(dropAll, { timeout: 10_000 })
  await client.end()
  await vi.waitFor(async () => expect(await running.ready()).toBeUndefined(), { timeout: 10_000 })
  await running.stop()
})

test('a certificate of another service does not start it', async () => {
  await using given = await fixture({ path: 'service/audit' })
  const error = await runService(fixtureService(), given.env, { log: createSilentLog() }).catch(
    (thrown: unknown) => thrown,
  )
  expect(String(Object(error).cause)).toContain('service/audit, which is not policy')
})

test.each([
  {
    name: 'a misspelt one',
    change: { POSTERN_POLICY_LISTNE: 'x' },
    problem: 'POSTERN_POLICY_LISTNE is not a setting; did you mean POSTERN_POLICY_LISTEN?',
  },
  {
    name: 'a misspelt shared one',
    change: { POSTERN_TRUSTDOMAIN: 'x' },
    problem: 'did you mean POSTERN_TRUST_DOMAIN?',
  },
  {
    name: 'a missing database',
    change: { POSTERN_POLICY_DATABASE_URL: '' },
    problem: 'POSTERN_POLICY_DATABASE_URL must be set',
  },
  {
    name: 'a default password',
    change: { POSTERN_POLICY_DATABASE_URL: 'postgres://policy:changeme@db/x' },
    problem: 'POSTERN_POLICY_DATABASE_URL: its password is empty or looks like a default',
  },
  {
    name: 'an empty password',
    change: { POSTERN_NATS_URL: 'nats://postern:@bus:4222' },
    problem: 'POSTERN_NATS_URL: its password is empty',
  },
  {
    name: 'an odd address',
    change: { POSTERN_POLICY_LISTEN: 'everywhere' },
    problem: 'POSTERN_POLICY_LISTEN: must be "host:port"',
  },
])('settings with $name do not start it', async ({ change, problem }) => {
  await using given = await fixture()
  const env = { ...given.env, ...change }
  await expect(runService(fixtureService(), env)).rejects.toThrow(problem)
})

test('the certificate is renewed by identity while the service runs', async () => {
  await using given = await fixture({ lifeSeconds: 3 })
  const { authority } = given
  const seen: string[] = []
  const identity = await createRpcServer({
    identity: await authority.identity('service/identity'),
    trustDomain: authority.trustDomain,
    listen: '127.0.0.1:0',
    registrations: [
      register(CertificateAuthorityServiceDefinition, {
        async renewCertificate({ csr }, { call }) {
          seen.push(call.peer.spiffeId)
          const now = new Date()
          return { certificate: await authority.issue(csr, 'service/policy', { now }) }
        },
        issueAgentCertificate: async () => ({}),
        getTrustBundle: async () => ({}),
      }),
    ],
    authenticateUser: async () => undefined,
    clientCertificates: 'required',
    log: createSilentLog(),
    metrics: createMetrics('identity'),
  })
  const log = createMemoryLog()
  const env = { ...given.env, POSTERN_IDENTITY_ADDRESS: identity.address }
  const running = await runService(fixtureService(), env, { log })
  await vi.waitFor(
    () => expect(log.records.map(({ message }) => message)).toContain('certificate renewed'),
    { timeout: 10_000 },
  )
  expect(new Set(seen)).toEqual(new Set(['spiffe://test.internal/service/policy']))
  await running.stop()
  await identity.close()
})

test('rebuilding says what came out', async () => {
  await using given = await fixture()
  const said: string[] = []
  const isEqual = await rebuildService(fixtureService(), given.env, {
    verify: true,
    say: (text) => void said.push(text),
  })
  expect(isEqual).toBe(true)
  expect(said[0]).toBe('policy: rebuilt up to position 0')
})

test('an administrator rebuilds a running service, also what it keeps beside its log, one at a time', async () => {
  await using given = await fixture()
  const asked: boolean[] = []
  let release = () => {}
  const held = new Promise<void>((resolve) => {
    release = resolve
  })
  const authenticateUser = async () => ({ ...SOMEBODY, platformRole: 'administrator' as const })
  const service = {
    ...fixtureService(async () => ({ rpc: [], authenticateUser })),
    async rebuildOwn({ verify }: { verify: boolean }) {
      asked.push(verify)
      await held
      return false
    },
  }
  const running = await runService(service, given.env, { log: createSilentLog() })
  const clients = createRpcClients({
    identity: await given.authority.identity('service/console'),
    trustDomain: given.authority.trustDomain,
    addresses: { policy: running.addresses.grpc ?? '' },
    log: createSilentLog(),
  })
  const logs = clients.of(EventLogServiceDefinition, 'policy')
  const as = { userToken: 'ptk_of-an-administrator' }
  const first = logs.rebuild({ verify: true }, as)
  await vi.waitFor(() => expect(asked).toEqual([true]), { timeout: 10_000 })
  await expect(logs.rebuild({}, as)).rejects.toMatchObject({ reason: 'REBUILD_RUNNING' })
  release()
  expect(await first).toEqual({
    pos: 0n,
    projections: [{ projection: 'own-data', events: 0n, equal: false }],
  })
  await logs.rebuild({}, as)
  expect(asked).toEqual([true, false])
  clients.close()
  await running.stop()
})

async function get({ addresses }: RunningService, path: string) {
  const response = await fetch(`http://${addresses.http}${path}`)
  return { status: response.status, body: await response.text() }
}

async function isOpen(address: string): Promise<boolean> {
  const port = Number(address.split(':').at(-1))
  return await new Promise((resolve) => {
    const socket = createConnection({ port, host: '127.0.0.1' }, () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}
