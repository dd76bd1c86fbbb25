import { createCsr, staticTlsIdentity, toTlsMaterial } from '@postern/pki'
import { createSilentLog } from '@postern/telemetry/testing'
import { expect, test, vi } from 'vitest'
import type { IdentitySecret } from '../src/adapters/identity-secret.ts'
import { renewIdentity } from '../src/identity/renew-identity.ts'
import type { StoredIdentity } from '../src/identity/stored-identity.ts'
import { type Authority, createAuthority } from './control-plane.ts'

const AGENT = 'agent/c1/a1'

async function certificateFor(authority: Authority, path: string, lifeSeconds: number) {
  const { csr, key } = await createCsr()
  return toTlsMaterial({ ...(await authority.issue(path, csr, lifeSeconds)), key })
}

async function start(options: { renew?: (csr: Buffer) => Promise<never> } = {}) {
  const authority = await createAuthority()
  const identity = staticTlsIdentity(await certificateFor(authority, AGENT, 2))
  const stored: { now: StoredIdentity } = {
    now: { material: identity.current(), joinTokenSha256: 'h', relays: ['r:1'] },
  }
  const secret: IdentitySecret = {
    read: () => Promise.resolve(stored.now),
    write(next) {
      stored.now = next
      return Promise.resolve(next)
    },
  }
  const issue = (csr: Buffer) => authority.issue(AGENT, csr)
  const renew = vi.fn<typeof issue>(options.renew ?? issue)
  const closing = new AbortController()
  const running = renewIdentity({
    identity,
    secret,
    renew,
    roots: authority.ca,
    now: () => new Date(),
    log: createSilentLog(),
    signal: closing.signal,
  })
  running.catch(() => undefined)
  return { authority, identity, stored, renew, running, stop: () => closing.abort() }
}

test('a certificate is renewed before it ends, and kept for the next start', async () => {
  const { identity, stored, renew, stop } = await start()
  const first = identity.current()
  await vi.waitFor(() => expect(identity.current()).not.toBe(first), { timeout: 5_000 })
  expect(identity.current().notAfter > first.notAfter).toBe(true)
  await vi.waitFor(() => expect(stored.now.material).toBe(identity.current()), { timeout: 5_000 })
  expect(stored.now).toMatchObject({ joinTokenSha256: 'h', relays: ['r:1'] })
  expect(renew).toHaveBeenCalledTimes(1)
  stop()
})

test('what another pod has renewed is taken over, not renewed again', async () => {
  const { authority, identity, stored, renew, stop } = await start()
  const theirs = await certificateFor(authority, AGENT, 3600)
  stored.now = { ...stored.now, material: theirs }
  await vi.waitFor(() => expect(identity.current().cert).toBe(theirs.cert), { timeout: 5_000 })
  expect(renew).not.toHaveBeenCalled()
  stop()
})

test('a certificate of somebody else in the secret is not taken', async () => {
  const { authority, identity, stored, renew, stop } = await start()
  const theirs = await certificateFor(authority, 'agent/c1/a2', 3600)
  stored.now = { ...stored.now, material: theirs }
  await vi.waitFor(() => expect(renew).toHaveBeenCalled(), { timeout: 5_000 })
  await vi.waitFor(() => expect(stored.now.material).toBe(identity.current()), { timeout: 5_000 })
  expect(identity.current().cert).not.toBe(theirs.cert)
  stop()
})

test('with an expired certificate the agent ends: only a new start can join again', async () => {
  const { running } = await start({ renew: () => Promise.reject(new Error('not reachable')) })
  await expect(running).rejects.toThrow('has expired')
})
