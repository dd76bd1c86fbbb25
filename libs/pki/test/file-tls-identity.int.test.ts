import { mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  certificatesFromPem,
  createIntermediate,
  createRoot,
  fileTlsIdentity,
  openIssuer,
  readIdentityFiles,
  writeIdentityFiles,
} from '@postern/pki'
import { createTestAuthority } from '@postern/pki/testing'
import { createMemoryLog } from '@postern/telemetry/testing'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'

const SPIFFE_ID = 'spiffe://test.internal/service/policy'
let dir: string

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'postern-pki-'))
})
afterEach(async () => {
  await rm(dir, { recursive: true, force: true })
})

async function issuerOf() {
  const now = new Date()
  const root = await createRoot({ name: 'root', now, lifeSeconds: 100_000 })
  const issuer = await openIssuer(
    await createIntermediate({ name: 'sub', now, lifeSeconds: 90_000, root }),
  )
  const roots = certificatesFromPem(root.cert)
  return async (csr: Buffer, spiffeId = SPIFFE_ID) => {
    const { chain } = await issuer.issueLeaf({
      csr,
      spiffeId,
      dnsNames: [],
      now: new Date(),
      lifeSeconds: 7200,
    })
    return { chain, roots }
  }
}

test('a certificate is renewed without a restart, and the files with it', async () => {
  const authority = await createTestAuthority()
  const first = await authority.material('service/policy')
  await writeIdentityFiles(dir, first)
  const issue = await issuerOf()
  let failures = 2
  const log = createMemoryLog()
  const waits: number[] = []
  const identity = await fileTlsIdentity({
    dir,
    now: () => new Date(),
    log,
    wait: async (ms, signal) => {
      waits.push(ms)
      if (waits.length > 3) await until(signal)
    },
    renew: async (csr) => {
      if (failures-- > 0) throw new Error('identity is down')
      return await issue(csr)
    },
  })
  expect(identity.spiffeId).toBe(SPIFFE_ID)
  await vi.waitFor(() => expect(identity.current().cert).not.toBe(first.cert), { timeout: 10_000 })
  expect(waits[0]).toBeGreaterThan(2000_000)
  expect(waits[1]).toBeLessThan(3000)
  await vi.waitFor(
    async () => expect((await readIdentityFiles(dir)).cert).toBe(identity.current().cert),
    { timeout: 5_000 },
  )
  expect(log.records.map(({ level }) => level)).toEqual(['warn', 'warn', 'info'])
  identity.close()
})

test('a certificate for another name, or of another key, is not taken', async () => {
  const authority = await createTestAuthority()
  const first = await authority.material('service/policy')
  await writeIdentityFiles(dir, first)
  const issue = await issuerOf()
  const { csr: strangersCsr } = await import('@postern/pki').then(
    async ({ createCsr }) => await createCsr(),
  )
  const answers = [
    async (csr: Buffer) => await issue(csr, 'spiffe://test.internal/service/identity'),
    async () => await issue(strangersCsr),
  ]
  const log = createMemoryLog()
  const identity = await fileTlsIdentity({
    dir,
    now: () => new Date(),
    log,
    wait: async (_ms, signal) => {
      if (log.records.length >= 2) await until(signal)
    },
    renew: async (csr) =>
      await (answers[log.records.length] ?? (async () => await issue(csr)))(csr),
  })
  await vi.waitFor(() => expect(log.records).toHaveLength(2), { timeout: 10_000 })
  expect(log.records.map(({ level }) => level)).toEqual(['warn', 'warn'])
  expect(identity.current().cert).toBe(first.cert)
  expect((await readIdentityFiles(dir)).cert).toBe(first.cert)
  identity.close()
})

test('a folder without files, with an ended certificate or a wrong key does not start', async () => {
  const needs = { dir, now: () => new Date(), log: createMemoryLog() }
  await expect(fileTlsIdentity(needs)).rejects.toThrow('tls.crt')
  const authority = await createTestAuthority()
  const first = await authority.material('service/policy', { lifeSeconds: 60 })
  await writeIdentityFiles(dir, first)
  const tomorrow = { ...needs, now: () => new Date(Date.now() + 86_400_000) }
  await expect(fileTlsIdentity(tomorrow)).rejects.toThrow('not usable (it ends at')
  await writeFile(join(dir, 'tls.key'), (await authority.material('service/policy')).key)
  await expect(fileTlsIdentity(needs)).rejects.toThrow('no usable certificate')
})

test('a crash between two renames leaves a working set', async () => {
  const authority = await createTestAuthority()
  const [first, second] = [
    await authority.material('service/policy'),
    await authority.material('service/policy'),
  ]
  await writeIdentityFiles(dir, first)
  await writeFile(join(dir, 'tls.key.next'), second.key)
  expect((await readIdentityFiles(dir)).cert).toBe(first.cert)
  await writeFile(join(dir, 'new'), second.cert)
  await rename(join(dir, 'new'), join(dir, 'tls.crt'))
  expect((await readIdentityFiles(dir)).key).toBe(second.key)
})

test('keys are readable by their owner alone', async () => {
  const authority = await createTestAuthority()
  await writeIdentityFiles(dir, await authority.material('service/policy'))
  const { stat } = await import('node:fs/promises')
  expect((await stat(join(dir, 'tls.key'))).mode & 0o077).toBe(0)
  expect(await readFile(join(dir, 'ca.crt'), 'utf8')).toContain('BEGIN CERTIFICATE')
})

async function until(signal: AbortSignal): Promise<void> {
  await new Promise<void>((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(new Error('closed')))
  })
}
