import { createHash } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Rejection } from '@postern/errors'
import { createDatabase } from '@postern/fixtures'
import { writeIdentityFiles } from '@postern/pki'
import { createTestAuthority } from '@postern/pki/testing'
import {
  AuditServiceDefinition,
  IngestServiceDefinition,
} from '@postern/proto/postern/audit/v1/audit'
import { PlatformRole } from '@postern/proto/postern/identity/events/v1/events'
import { TokenServiceDefinition } from '@postern/proto/postern/identity/v1/token'
import { createRpcClients, createRpcServer, register } from '@postern/rpc'
import { openDoors, sweepRpcs } from '@postern/rpc/testing'
import { rebuildService, runService } from '@postern/service'
import { createMetrics } from '@postern/telemetry'
import { createMemoryLog, createSilentLog } from '@postern/telemetry/testing'
import { verifyLog } from '@postern/tlog'
import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { auditService } from '../src/index.ts'
import { flipBit, openAudit, record, records, rewriteEntry, testKey } from './audit-fixture.ts'

const AUDITOR = { userToken: 'ptk_auditor' }
const NOBODY = { userToken: 'ptk_nobody' }

const authority = await createTestAuthority()
const { trustDomain } = authority
const log = createSilentLog()
const closing: (() => Promise<void>)[] = []
let env: Record<string, string>
let databaseUrl: string
let address: string

/** As much of identity as it takes to know two users. */
async function startIdentity() {
  const roles = new Map([
    [AUDITOR.userToken, PlatformRole.PLATFORM_ROLE_AUDITOR],
    [NOBODY.userToken, PlatformRole.PLATFORM_ROLE_UNSPECIFIED],
  ])
  const empty = async () => ({})
  return await createRpcServer({
    identity: await authority.identity('service/identity'),
    trustDomain,
    listen: '127.0.0.1:0',
    registrations: [
      register(TokenServiceDefinition, {
        authenticateToken: async ({ tokenSha256 }) => {
          const [, platformRole] =
            [...roles].find(([token]) => sha256(token).equals(tokenSha256)) ?? []
          if (platformRole === undefined) throw unauthenticated()
          return { userId: 'u1', userName: 'auditor', tokenId: 't1', platformRole }
        },
        setUp: empty,
        login: empty,
        logout: empty,
        whoAmI: empty,
        issueToken: empty,
        listTokens: empty,
        revokeToken: empty,
      }),
    ],
    authenticateUser: async () => undefined,
    clientCertificates: 'required',
    log,
    metrics: createMetrics('identity'),
  })
}

async function clientsAs(path: string) {
  const clients = createRpcClients({
    identity: await authority.identity(path),
    trustDomain,
    addresses: { audit: address },
    log,
  })
  closing.push(async () => clients.close())
  return clients
}

const gateway = async (id: string) =>
  (await clientsAs(`gateway/${id}`)).of(IngestServiceDefinition, 'audit')
const consoleClient = async () =>
  (await clientsAs('service/console')).of(AuditServiceDefinition, 'audit')

beforeAll(async () => {
  databaseUrl = await createDatabase(inject('postgresUrl'))
  const dir = await mkdtemp(join(tmpdir(), 'postern-audit-'))
  closing.push(async () => await rm(dir, { recursive: true, force: true }))
  await writeIdentityFiles(dir, await authority.material('service/audit'))
  const keyFile = join(dir, 'log.pem')
  await writeFile(keyFile, testKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 })
  const identity = await startIdentity()
  closing.push(async () => await identity.close())
  env = {
    POSTERN_TRUST_DOMAIN: trustDomain,
    // The bus is the fast path of others: audit works without it.
    POSTERN_NATS_URL: 'nats://127.0.0.1:1',
    POSTERN_IDENTITY_ADDRESS: identity.address,
    POSTERN_AUDIT_LISTEN: '127.0.0.1:0',
    POSTERN_AUDIT_HTTP_LISTEN: '127.0.0.1:0',
    POSTERN_AUDIT_TLS_DIR: dir,
    POSTERN_AUDIT_DATABASE_URL: databaseUrl,
    POSTERN_AUDIT_SIGNING_KEY_FILE: keyFile,
  }
  const running = await runService(auditService, env, { log })
  closing.push(async () => await running.stop())
  address = running.addresses.grpc ?? ''
})
afterAll(async () => {
  for (const close of closing.toReversed()) await close()
})

test('what a gateway delivers is found, and proves to be in the signed log', async () => {
  const ingest = await gateway('g1')
  const delivered = records('g1', 1, 300)
  expect(await ingest.appendRecords({ spoolId: 's1', first: 1n, records: delivered })).toEqual({
    stored: 300n,
  })
  expect(await ingest.appendRecords({ spoolId: 's1', first: 1n, records: [] })).toEqual({
    stored: 300n,
  })

  const audit = await consoleClient()
  const found = await audit.searchRecords({ user: 'lead', pageSize: 2 }, AUDITOR)
  expect(found.records.map(({ index, event }) => [index, event])).toEqual([
    [299n, delivered[299]?.toString()],
    [298n, delivered[298]?.toString()],
  ])
  const { checkpoint, verifierKey } = await audit.getCheckpoint({}, AUDITOR)
  expect(checkpoint.split('\n')[0]).toBe(`${trustDomain}/audit`)
  const { leaves } = await audit.listLeaves({ first: 0n, limit: 1000 }, AUDITOR)
  expect(await verifyLog({ checkpoint, verifierKey, leaves: [leaves] })).toMatchObject({
    ok: true,
    size: 300,
  })
  const { tile } = await audit.getTile({ level: 0, index: 0n, width: 0 }, AUDITOR)
  expect(tile).toHaveLength(8192)
  const partial = await audit.getTile({ level: 0, index: 1n, width: 44 }, AUDITOR)
  expect(partial.tile).toHaveLength(44 * 32)
})

test('a gateway writes under its own name, whatever it says, and moves nobody else', async () => {
  const [one, other] = [await gateway('g2'), await gateway('g3')]
  const spool = { spoolId: 'shared-name', first: 1n }
  expect(await one.appendRecords({ ...spool, records: records('g2', 1, 10) })).toEqual({
    stored: 10n,
  })
  expect(await other.appendRecords({ ...spool, records: [] })).toEqual({ stored: 0n })
  expect(await other.appendRecords({ ...spool, records: records('g3', 1, 1) })).toEqual({
    stored: 1n,
  })
})

test("a gateway cannot close another gateway's intent", async () => {
  const [one, other] = [await gateway('g4'), await gateway('g5')]
  const intent = record({ auditID: 'exec-1' })
  const outcome = record({ auditID: 'exec-1', stage: 'ResponseComplete' })
  await one.appendRecords({ spoolId: 's', first: 1n, records: [intent] })
  await other.appendRecords({ spoolId: 's', first: 1n, records: [outcome] })
  const audit = await consoleClient()
  const open = async () =>
    (await audit.searchRecords({ auditId: 'exec-1', openOnly: true }, AUDITOR)).records.length
  expect(await open()).toBe(1)
  await one.appendRecords({ spoolId: 's', first: 2n, records: [outcome] })
  expect(await open()).toBe(0)
})

describe('bad input gets a clear answer and changes nothing', () => {
  test.each([
    { what: 'record number 0', request: { first: 0n }, reason: 'NUMBER_OUT_OF_RANGE' },
    {
      what: 'a number beyond all others',
      request: { first: 2n ** 64n - 1n },
      reason: 'NUMBER_OUT_OF_RANGE',
    },
    { what: 'a spool id with a space', request: { spoolId: 'a b' }, reason: 'SPOOL_ID_INVALID' },
    {
      what: 'more than 1,000 records',
      request: { records: Array(1001).fill(Buffer.of(1)) },
      reason: 'RECORDS_TOO_MANY',
    },
  ])('$what', async ({ request, reason }) => {
    const ingest = await gateway('bad')
    const before = await size()
    const good = { spoolId: 's', first: 1n, records: [record()] }
    await expect(ingest.appendRecords({ ...good, ...request })).rejects.toMatchObject({ reason })
    expect(await size()).toBe(before)
  })

  test.each([
    { what: 'a tile of level 64', request: { level: 64, index: 0n }, reason: 'TILE_INVALID' },
    {
      what: 'a partial tile of 256',
      request: { level: 0, index: 0n, width: 256 },
      reason: 'TILE_INVALID',
    },
    {
      what: 'a tile that is not there',
      request: { level: 0, index: 9n },
      reason: 'TILE_NOT_FOUND',
    },
    {
      what: 'a tile beyond all others',
      request: { level: 63, index: 2n ** 64n - 1n },
      reason: 'TILE_NOT_FOUND',
    },
  ])('$what', async ({ request, reason }) => {
    const audit = await consoleClient()
    await expect(audit.getTile(request, AUDITOR)).rejects.toMatchObject({ reason })
  })

  test.each([
    { index: 0n, treeSize: 0n, reason: 'INDEX_OUT_OF_RANGE' },
    { index: 5n, treeSize: 5n, reason: 'INDEX_OUT_OF_RANGE' },
    { index: 0n, treeSize: 2n ** 64n - 1n, reason: 'TREE_SIZE_OUT_OF_RANGE' },
  ])('an inclusion proof for $index in $treeSize', async ({ reason, ...request }) => {
    const audit = await consoleClient()
    await expect(audit.getInclusionProof(request, AUDITOR)).rejects.toMatchObject({ reason })
  })

  test('a consistency proof from a larger to a smaller log, and leaves beyond the end', async () => {
    const audit = await consoleClient()
    const proof = audit.getConsistencyProof({ oldSize: 5n, newSize: 4n }, AUDITOR)
    await expect(proof).rejects.toMatchObject({ reason: 'TREE_SIZE_OUT_OF_RANGE' })
    expect((await audit.listLeaves({ first: 2n ** 64n - 1n }, AUDITOR)).leaves).toEqual([])
    await expect(audit.listLeaves({ limit: 1001 }, AUDITOR)).rejects.toMatchObject({
      reason: 'LIMIT_OUT_OF_RANGE',
    })
  })
})

test('every RPC refuses who may not call it', async () => {
  const answers = await sweepRpcs({
    address,
    trustDomain,
    serverPath: 'service/audit',
    registrations: ['postern.audit.v1.IngestService', 'postern.audit.v1.AuditService'],
    identityOf: authority.identity,
    unprivilegedToken: NOBODY.userToken,
  })
  expect(answers.length).toBeGreaterThan(7 * 5)
  expect(openDoors(answers)).toEqual([])
})

test('rebuild --verify folds everything again, verifies the log, and names a flipped bit', async () => {
  const said: string[] = []
  const rebuild = async () =>
    await rebuildService(auditService, env, { verify: true, say: (text) => said.push(text) })
  expect(await rebuild()).toBe(true)
  expect(said.join('\n')).toMatch(/log: \d+ entries, verified\n {2}records: \d+ entries, equal/)
  const owner = await openAudit(databaseUrl)
  try {
    await rewriteEntry(owner.db, 7, (body) => flipBit(body, 9))
    expect(await rebuild()).toBe(false)
    expect(said.join('\n')).toContain('entry 7 is not what was logged')
    await sql`update entry_bundle set bundle = 'damaged' where first_idx = 0`.execute(owner.db)
    expect(await rebuild()).toBe(false)
    expect(said.at(-1)).toBe('  records: the entries of the audit log from 0 on cannot be read')
  } finally {
    await owner.close()
  }
})

test.each([
  { why: 'without a key', change: { POSTERN_AUDIT_SIGNING_KEY_FILE: '' }, says: 'must be set' },
  {
    why: 'with a key that is not there',
    change: { POSTERN_AUDIT_SIGNING_KEY_FILE: '/nowhere/log.pem' },
    says: 'openssl genpkey -algorithm ed25519',
  },
  {
    why: 'under another origin than its log has',
    change: { POSTERN_AUDIT_LOG_ORIGIN: 'other.test/audit' },
    says: 'signed with another key',
  },
])('it does not start $why, and says what to do', async ({ change, says }) => {
  const error = await runService(
    auditService,
    { ...env, ...change },
    { log: createMemoryLog() },
  ).then(
    async (running) => await running.stop(),
    (thrown: unknown) => thrown,
  )
  expect(`${String(error)} ${String(Object(error).cause)}`).toContain(says)
})

function unauthenticated(): Rejection {
  return new Rejection('TOKEN_UNKNOWN', 'unauthenticated', 'there is no such token')
}

async function size(): Promise<string | undefined> {
  const { checkpoint } = await (await consoleClient()).getCheckpoint({}, AUDITOR)
  return checkpoint.split('\n')[1]
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
