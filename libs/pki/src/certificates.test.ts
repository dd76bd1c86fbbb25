import { X509Certificate as NodeCertificate, webcrypto } from 'node:crypto'
import fc from 'fast-check'
import { beforeAll, expect, test } from 'vitest'
import { createIntermediate, createRoot, openIssuer, type StoredAuthority } from './authority.ts'
import { createCsr } from './csr.ts'
import { certificatesFromPem, certificatesToPem } from './pem.ts'
import { createTestAuthority, type TestAuthority } from './testing.ts'
import type { TlsMaterial } from './tls-identity.ts'
import { verifyChain } from './verify-chain.ts'
import { Pkcs10CertificateRequestGenerator } from './x509-library.ts'

const now = new Date('2026-01-01T00:00:00Z')
const later = (seconds: number) => new Date(now.getTime() + seconds * 1000)
const SPIFFE_ID = 'spiffe://test.internal/service/policy'

let authority: TestAuthority
let material: TlsMaterial
let root: StoredAuthority
let intermediate: StoredAuthority

beforeAll(async () => {
  authority = await createTestAuthority('test.internal', now)
  material = await authority.material('service/policy')
  root = await createRoot({ name: 'root', now, lifeSeconds: 100_000 })
  intermediate = await createIntermediate({ name: 'sub', now, lifeSeconds: 90_000, root })
})

function verify(cert: string, ca: string, at = now) {
  return verifyChain({ chain: certificatesFromPem(cert), roots: certificatesFromPem(ca), at })
}

async function leafFrom(
  issuedBy: StoredAuthority,
  order: Partial<{ csr: Uint8Array; lifeSeconds: number }> = {},
) {
  const issuer = await openIssuer(issuedBy)
  const { csr } = await createCsr()
  return await issuer.issueLeaf({
    csr,
    spiffeId: SPIFFE_ID,
    dnsNames: [],
    now,
    lifeSeconds: 60,
    ...order,
  })
}

test('an issued leaf has one SPIFFE ID, its DNS names, both purposes and a short life', () => {
  const leaf = new NodeCertificate(material.cert)
  expect(leaf.subjectAltName).toBe(`URI:${SPIFFE_ID}, DNS:policy.test.internal`)
  expect(leaf.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2'])
  expect(leaf.ca).toBe(false)
  expect(verify(material.cert, material.ca)).toBe(SPIFFE_ID)
})

test.each([
  { name: 'before it begins', at: later(-61), ok: false },
  { name: 'within its minute of grace', at: later(-59), ok: true },
  { name: 'in its last second', at: later(3599), ok: true },
  { name: 'when it has ended', at: later(3600), ok: false },
])('a certificate $name: $ok', ({ at, ok }) => {
  const outcome = attempt(() => verify(material.cert, material.ca, at))
  expect(outcome).toBe(ok ? SPIFFE_ID : 'CERTIFICATE_NOT_VALID_NOW')
})

test('another root, a missing intermediate or a swapped one is not trusted', async () => {
  const [leaf, sub] = certificatesFromPem(material.cert)
  const foreign = await createTestAuthority('test.internal', now)
  const [, foreignSub] = certificatesFromPem((await foreign.material('service/policy')).cert)
  const outcomes = [
    attempt(() => verify(material.cert, foreign.ca)),
    attempt(() => verify(material.cert, '')),
    attempt(() => verify(pem(leaf), material.ca)),
    attempt(() => verify(pem(leaf, foreignSub), material.ca)),
    attempt(() => verify(pem(leaf, sub, foreignSub, sub), material.ca)),
    attempt(() => verify('', material.ca)),
  ]
  expect(outcomes).toEqual(outcomes.map(() => 'CERTIFICATE_NOT_TRUSTED'))
})

test('an authority is not a leaf, and a leaf is not an authority', async () => {
  const [, sub] = certificatesFromPem(material.cert)
  expect(attempt(() => verify(pem(sub), material.ca))).toBe('CERTIFICATE_NOT_A_LEAF')
  const { csr, key } = await createCsr()
  const fake = await leafFrom(intermediate, { csr })
  const forged = await leafFrom({ cert: pem(fake.chain[0]), key })
  const chain = [...forged.chain, ...fake.chain.slice(1)]
  const outcome = attempt(() => verify(certificatesToPem(chain), root.cert))
  expect(outcome).toBe('CERTIFICATE_NOT_TRUSTED')
})

test('the intermediate cannot make authorities of its own', async () => {
  const deeper = await createIntermediate({
    name: 'deeper',
    now,
    lifeSeconds: 80_000,
    root: intermediate,
  })
  const leaf = await leafFrom(deeper)
  const chain = [...leaf.chain, ...certificatesFromPem(intermediate.cert)]
  expect(attempt(() => verify(certificatesToPem(chain), root.cert))).toBe('CERTIFICATE_NOT_TRUSTED')
})

test('one altered byte anywhere in a leaf is found', () => {
  const [leaf = Buffer.alloc(0), ...rest] = certificatesFromPem(material.cert)
  fc.assert(
    fc.property(fc.nat(leaf.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
      const altered = Buffer.from(leaf)
      altered[at] = (altered[at] ?? 0) ^ flip
      const outcome = attempt(() => verify(pem(altered, ...rest), material.ca))
      expect(outcome).toMatch(/^CERTIFICATE_/)
    }),
    { numRuns: 300 },
  )
})

test('only the public key of a request is used, and only if its owner signed', async () => {
  const keys = await p256()
  const named = await Pkcs10CertificateRequestGenerator.create({
    name: 'CN=administrator',
    keys,
    signingAlgorithm: { name: 'ECDSA', hash: 'SHA-256' },
  })
  const { chain } = await leafFrom(intermediate, { csr: new Uint8Array(named.rawData) })
  expect(new NodeCertificate(chain[0] ?? '').subject).toBe('O=Postern')

  const unsigned = Buffer.from(named.rawData)
  unsigned[unsigned.length - 3] = (unsigned.at(-3) ?? 0) ^ 1
  await expect(leafFrom(intermediate, { csr: unsigned })).rejects.toMatchObject({
    reason: 'CSR_NOT_SIGNED',
  })
})

test.each([
  { name: 'nothing', csr: async () => new Uint8Array() },
  { name: 'noise', csr: async () => new Uint8Array(300).fill(7) },
  { name: 'too much', csr: async () => new Uint8Array(20_000) },
  { name: 'an RSA key', csr: rsaCsr },
  { name: 'a P-384 key', csr: p384Csr },
])('a request that is $name is refused', async ({ csr }) => {
  await expect(leafFrom(intermediate, { csr: await csr() })).rejects.toMatchObject({
    reason: 'INVALID_CSR',
  })
})

test('a leaf lives at most 24 hours, and no longer than its authority', async () => {
  await expect(leafFrom(intermediate, { lifeSeconds: 86_401 })).rejects.toThrow('24 hours')
  await expect(leafFrom(intermediate, { lifeSeconds: 0 })).rejects.toThrow('24 hours')
  const short = await createIntermediate({ name: 'short', now, lifeSeconds: 30, root })
  await expect(leafFrom(short)).rejects.toThrow('renew it first')
})

test('serial numbers are positive, at most 20 bytes, and never the same', async () => {
  const issued = await Promise.all(Array.from({ length: 30 }, () => leafFrom(intermediate)))
  const serials = issued.map(({ chain }) => new NodeCertificate(chain[0] ?? '').serialNumber)
  expect(new Set(serials).size).toBe(30)
  expect(serials.every((serial) => /^[1-7][0-9A-F]{31}$/.test(serial))).toBe(true)
})

function attempt(work: () => string): string {
  try {
    return work()
  } catch (error) {
    return error instanceof Error && 'reason' in error ? String(error.reason) : String(error)
  }
}

function pem(...ders: (Buffer | undefined)[]): string {
  return certificatesToPem(ders.filter((der) => der !== undefined))
}

async function p256() {
  return await webcrypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, [
    'sign',
    'verify',
  ])
}

async function p384Csr() {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-384' }
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const signingAlgorithm = { name: 'ECDSA', hash: 'SHA-384' }
  return new Uint8Array(
    (await Pkcs10CertificateRequestGenerator.create({ keys, signingAlgorithm })).rawData,
  )
}

async function rsaCsr() {
  const algorithm = {
    name: 'RSASSA-PKCS1-v1_5',
    hash: 'SHA-256',
    publicExponent: new Uint8Array([1, 0, 1]),
    modulusLength: 2048,
  }
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  return new Uint8Array(
    (await Pkcs10CertificateRequestGenerator.create({ keys, signingAlgorithm: algorithm })).rawData,
  )
}
