import { X509Certificate } from 'node:crypto'
import { createCsr, spiffeIdOfLeaf, verifyChain } from '@postern/pki'
import { openDoors, sweepRpcs } from '@postern/rpc/testing'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import {
  type IdentityRpc,
  PASSWORD,
  type RunningIdentity,
  runIdentity,
  setUp,
  TRUST_DOMAIN,
} from './running-identity.ts'

let identity: RunningIdentity
let rpc: IdentityRpc
let unprivilegedToken: string

beforeAll(async () => {
  identity = await runIdentity({ postgresUrl: inject('postgresUrl'), natsUrl: inject('natsUrl') })
  rpc = await identity.as('service/console')
  const root = await setUp(identity, rpc)
  await rpc.users.createUser({ name: 'alice', password: PASSWORD }, root.as)
  unprivilegedToken = (await rpc.tokens.login({ userName: 'alice', password: PASSWORD })).secret
})

afterAll(async () => {
  await identity.stop()
})

test('every RPC refuses nobody, wrong parts, and users without the permission', async () => {
  const answers = await sweepRpcs({
    address: identity.address(),
    trustDomain: TRUST_DOMAIN,
    serverPath: 'service/identity',
    // TokenService comes last: a swept Logout ends the token that the sweep is made with.
    registrations: [
      'postern.eventlog.v1.EventLogService',
      'postern.identity.v1.UserService',
      'postern.identity.v1.GroupService',
      'postern.identity.v1.CertificateAuthorityService',
      'postern.identity.v1.TokenService',
    ],
    identityOf: async (path) => await identity.authority.identityOf(path),
    unprivilegedToken,
  })
  expect(openDoors(answers)).toEqual([])
  expect(new Set(answers.map((answer) => answer.rpc)).size).toBe(29)
})

test('a part renews the certificate for its own SPIFFE ID and can get no other', async () => {
  const { csr } = await createCsr()
  for (const [path, dnsNames] of [
    ['service/tunnel-broker', `DNS:tunnel-broker.${TRUST_DOMAIN}`],
    ['relay/r1', `DNS:relay.${TRUST_DOMAIN}`],
    ['gateway/g1', undefined],
  ] as const) {
    const { certificates } = await identity.as(path)
    const { certificate } = await certificates.renewCertificate({ csr })
    const chain = certificate?.chain ?? []
    const [leaf = Buffer.alloc(0)] = chain
    const spiffeId = `spiffe://${TRUST_DOMAIN}/${path}`
    expect(verifyChain({ chain, roots: identity.authority.roots, at: new Date() })).toBe(spiffeId)
    const names = new X509Certificate(leaf).subjectAltName?.split(', ') ?? []
    expect(names.toSorted()).toEqual([...(dnsNames ? [dnsNames] : []), `URI:${spiffeId}`])
    const lifeMs = Date.parse(certificate?.notAfter ?? '') - Date.now()
    expect(lifeMs).toBeGreaterThan(23 * 3600 * 1000)
    expect(lifeMs).toBeLessThanOrEqual(24 * 3600 * 1000)
  }
})

test('agents are certified for tunnel-broker only, under ids and nothing else', async () => {
  const { csr } = await createCsr()
  const clusterId = '01900000-0000-7000-8000-000000000001'
  const agentId = '01900000-0000-7000-8000-000000000002'
  const { certificates } = await identity.as('service/tunnel-broker')
  const { certificate } = await certificates.issueAgentCertificate({ csr, clusterId, agentId })
  expect(spiffeIdOfLeaf(certificate?.chain[0] ?? Buffer.alloc(0))).toBe(
    `spiffe://${TRUST_DOMAIN}/agent/${clusterId}/${agentId}`,
  )
  for (const wrong of ['', '../service', 'identity', `${agentId}/x`]) {
    await expect(
      certificates.issueAgentCertificate({ csr, clusterId, agentId: wrong }),
    ).rejects.toMatchObject({ reason: 'INVALID_ID' })
    await expect(
      certificates.issueAgentCertificate({ csr, clusterId: wrong, agentId }),
    ).rejects.toMatchObject({ reason: 'INVALID_ID' })
  }
})

test('what is no certificate request is refused', async () => {
  const { certificates } = await identity.as('service/audit')
  for (const csr of [Buffer.alloc(0), Buffer.from('x'), Buffer.alloc(20_000, 0x30)]) {
    await expect(certificates.renewCertificate({ csr })).rejects.toMatchObject({
      reason: 'INVALID_CSR',
    })
  }
})

test('the roots are those of the authority', async () => {
  const { certificates } = await identity.as('service/session')
  expect((await certificates.getTrustBundle({})).roots).toEqual(identity.authority.roots)
})
