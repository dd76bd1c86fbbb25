import { setTimeout } from 'node:timers/promises'
import {
  createCsr,
  type StaticTlsIdentity,
  type TlsMaterial,
  toTlsMaterial,
  verifyTlsMaterial,
} from '@postern/pki'
import type { Log } from '@postern/telemetry'
import type { IdentitySecret } from '../adapters/identity-secret.ts'
import type { IssuedCertificate } from '../adapters/tunnel-broker-client.ts'

const RENEW_AT = 2 / 3
const SPREAD = 1 / 20
const RETRY_MS_MIN = 2_000
const RETRY_MS_MAX = 5 * 60_000
const WAIT_MS_MAX = 2 ** 31 - 1

/**
 * Renews the agent's certificate at two thirds of its life and writes it down, until the signal.
 * @throws Error when the certificate has expired; until then it is tried again
 */
export async function renewIdentity(needs: {
  readonly identity: StaticTlsIdentity
  readonly secret: IdentitySecret
  readonly renew: (csr: Buffer) => Promise<IssuedCertificate>
  readonly roots: string
  readonly now: () => Date
  readonly log: Log
  readonly signal: AbortSignal
}): Promise<void> {
  const { identity, secret, now, log, signal } = needs
  let bornMs = now().getTime()
  let failures = 0
  while (!signal.aborted) {
    const waitMs = failures === 0 ? untilRenewalMs() : retryMs(failures)
    await setTimeout(waitMs, undefined, { signal, ref: false }).catch(() => undefined)
    if (signal.aborted) return
    try {
      identity.replace((await fromAnotherAgent()) ?? (await issued()))
      bornMs = now().getTime()
      failures = 0
      log.info({ notAfter: identity.current().notAfter }, 'certificate renewed')
    } catch (error) {
      failures += 1
      const { notAfter } = identity.current()
      if (notAfter <= now()) {
        throw new Error('the certificate of this agent has expired', { cause: error })
      }
      log.warn({ err: error, notAfter, failures }, 'certificate not renewed, trying again')
    }
  }

  function untilRenewalMs(): number {
    const lifeMs = identity.current().notAfter.getTime() - bornMs
    const part = RENEW_AT + (Math.random() - 0.5) * SPREAD
    const leftMs = bornMs + lifeMs * part - now().getTime()
    return Math.min(Math.max(leftMs, 0), WAIT_MS_MAX)
  }

  /** Several pods share the Secret: whoever renews first does it for all. */
  async function fromAnotherAgent(): Promise<TlsMaterial | undefined> {
    const stored = await secret.read()
    const isNewer = stored !== undefined && stored.material.notAfter > identity.current().notAfter
    if (!isNewer) return undefined
    const material = { ...stored.material, ca: needs.roots }
    return verifyTlsMaterial(material, now()) === identity.spiffeId ? material : undefined
  }

  async function issued(): Promise<TlsMaterial> {
    const { csr, key } = await createCsr()
    const { chain, roots } = await needs.renew(csr)
    const material = { ...toTlsMaterial({ chain, roots, key }), ca: needs.roots }
    verifyTlsMaterial(material, now())
    const stored = await secret.read()
    if (stored !== undefined) await secret.write({ ...stored, material })
    return material
  }
}

function retryMs(failures: number): number {
  const ceiling = Math.min(RETRY_MS_MIN * 2 ** Math.min(failures, 12), RETRY_MS_MAX)
  return ceiling * (0.5 + Math.random() / 2)
}
