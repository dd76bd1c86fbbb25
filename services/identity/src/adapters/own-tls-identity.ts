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

/** A third of the life of a certificate. */
const RENEW_WITH_MS_LEFT = 8 * 60 * 60 * 1000
/** Often, by the clock on the wall: a machine that slept wakes up with a certificate that has aged. */
const CHECK_MS = 30_000

/** Identity's own certificate: from its own authority, in memory, renewed when a third of its life is left. */
export async function ownTlsIdentity(needs: Needs): Promise<RenewingTlsIdentity> {
  const { now, signals } = needs
  const identity = staticTlsIdentity(await issue(needs))
  const closing = new AbortController()
  void renewForever().catch(() => undefined)
  return { ...identity, close: () => closing.abort() }

  async function renewForever(): Promise<void> {
    while (!closing.signal.aborted) {
      await setTimeout(CHECK_MS, undefined, { signal: closing.signal, ref: false })
      const leftMs = identity.current().notAfter.getTime() - now().getTime()
      if (leftMs < RENEW_WITH_MS_LEFT) await renew()
    }
  }

  async function renew(): Promise<void> {
    try {
      identity.replace(await issue(needs))
      signals.ownCertificateRenewed({ notAfter: identity.current().notAfter })
    } catch (error) {
      signals.ownCertificateNotRenewed({ err: error })
    }
  }
}

async function issue({ authority, trustDomain }: Needs): Promise<TlsMaterial> {
  const { csr, key } = await createCsr()
  const spiffeId = toSpiffeId(trustDomain, 'service', 'identity')
  const issued = await authority.issue({ csr, spiffeId, dnsNames: [`identity.${trustDomain}`] })
  return toTlsMaterial({ ...issued, key })
}
