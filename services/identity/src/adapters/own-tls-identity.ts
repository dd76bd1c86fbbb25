import { setTimeout } from 'node:timers/promises'
import {
  createCsr,
  type RenewingTlsIdentity,
  staticTlsIdentity,
  type TlsMaterial,
  toSpiffeId,
  toTlsMaterial,
} from '@postern/pki'
import type { Signals } from '../signals.ts'
import type { CertificateAuthority } from './certificate-authority.ts'

type Needs = {
  authority: CertificateAuthority
  trustDomain: string
  now: () => Date
  signals: Signals
}

const RENEW_AT = 2 / 3
const RETRY_MS = 60_000

/** Identity's own certificate: from its own authority, in memory, renewed at two thirds of its life. */
export async function ownTlsIdentity(needs: Needs): Promise<RenewingTlsIdentity> {
  const { now, signals } = needs
  const identity = staticTlsIdentity(await issue(needs))
  const closing = new AbortController()
  void renewForever().catch(() => undefined)
  return { ...identity, close: () => closing.abort() }

  async function renewForever(): Promise<void> {
    let waitMs = untilRenewalMs()
    while (!closing.signal.aborted) {
      await setTimeout(waitMs, undefined, { signal: closing.signal, ref: false })
      waitMs = (await renew()) ? untilRenewalMs() : RETRY_MS
    }
  }

  async function renew(): Promise<boolean> {
    try {
      identity.replace(await issue(needs))
      signals.ownCertificateRenewed({ notAfter: identity.current().notAfter })
      return true
    } catch (error) {
      signals.ownCertificateNotRenewed({ err: error })
      return false
    }
  }

  function untilRenewalMs(): number {
    const leftMs = identity.current().notAfter.getTime() - now().getTime()
    return Math.max(RETRY_MS, leftMs * RENEW_AT)
  }
}

async function issue({ authority, trustDomain }: Needs): Promise<TlsMaterial> {
  const { csr, key } = await createCsr()
  const spiffeId = toSpiffeId(trustDomain, 'service', 'identity')
  const issued = await authority.issue({ csr, spiffeId, dnsNames: [`identity.${trustDomain}`] })
  return toTlsMaterial({ ...issued, key })
}
