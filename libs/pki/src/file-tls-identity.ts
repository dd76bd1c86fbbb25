import { setTimeout } from 'node:timers/promises'
import { createCsr } from './csr.ts'
import { readIdentityFiles, writeIdentityFiles } from './identity-files.ts'
import { retryDelayMs, untilRenewalMs } from './renewal.ts'
import {
  parseTlsMaterial,
  staticTlsIdentity,
  type TlsIdentity,
  type TlsMaterial,
  toTlsMaterial,
  verifyTlsMaterial,
} from './tls-identity.ts'

/** Asks the certificate authority for a certificate for the CSR's key. All DER. */
export type RenewCertificate = (
  csr: Buffer,
) => Promise<{ chain: readonly Uint8Array[]; roots: readonly Uint8Array[] }>

export type FileTlsIdentityNeeds = {
  /** Holds tls.crt (chain), tls.key and ca.crt (roots). */
  readonly dir: string
  /** Without it the files are read again, as somebody else replaces them. */
  readonly renew?: RenewCertificate
  readonly now: () => Date
  readonly log: RenewalLog
  /** Waits; a test's clock may answer at once. */
  readonly wait?: (ms: number, signal: AbortSignal) => Promise<void>
}

type RenewalLog = {
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
}

export type RenewingTlsIdentity = TlsIdentity & {
  /** Stops renewing. */
  close(): void
}

const RENEW_TIMEOUT_MS = 30_000

/**
 * The certificate in a folder, renewed at two thirds of its life without a restart. The new one is
 * written back when the folder allows it; otherwise it lives in memory.
 * @throws Error when the folder holds no certificate that is valid now
 */
export async function fileTlsIdentity(needs: FileTlsIdentityNeeds): Promise<RenewingTlsIdentity> {
  const { dir, log, now, wait = waitWithTimer } = needs
  const identity = staticTlsIdentity(await readValid(dir, now()))
  const closing = new AbortController()

  void renewForever().catch(() => undefined)

  return { ...identity, close: () => closing.abort() }

  async function renewForever(): Promise<void> {
    let failures = 0
    while (!closing.signal.aborted) {
      const delay =
        failures === 0
          ? untilRenewalMs(identity.current(), now(), Math.random())
          : retryDelayMs(failures, Math.random())
      await wait(delay, closing.signal)
      failures = (await renewOnce(failures)) ? 0 : failures + 1
    }
  }

  async function renewOnce(failures: number): Promise<boolean> {
    try {
      identity.replace((await newerFiles()) ?? (await issued()))
      log.info(
        { spiffeId: identity.spiffeId, notAfter: identity.current().notAfter },
        'certificate renewed',
      )
      return true
    } catch (error) {
      const { notAfter } = identity.current()
      const message =
        notAfter > now()
          ? 'certificate not renewed, trying again'
          : 'certificate expired and not renewed'
      log.warn(
        { err: error, spiffeId: identity.spiffeId, notAfter, failures: failures + 1 },
        message,
      )
      return false
    }
  }

  /** An operator, or another process with the same folder, may have been first. */
  async function newerFiles(): Promise<TlsMaterial | undefined> {
    const found = await readValid(dir, now()).catch(() => undefined)
    if (found === undefined || found.notAfter <= identity.current().notAfter) return undefined
    return verifyTlsMaterial(found, now()) === identity.spiffeId ? found : undefined
  }

  async function issued(): Promise<TlsMaterial> {
    if (needs.renew === undefined) throw new Error(`no newer certificate was put into ${dir}`)
    const { csr, key } = await createCsr()
    const answer = await withTimeout(needs.renew(csr))
    const material = parseTlsMaterial(toTlsMaterial({ ...answer, key }))
    const issuedFor = verifyTlsMaterial(material, now())
    if (issuedFor !== identity.spiffeId) throw new Error(`the new certificate is for ${issuedFor}`)
    await writeIdentityFiles(dir, material).catch((error: unknown) =>
      log.info(
        { err: error, dir },
        'certificate kept in memory only: its folder cannot be written',
      ),
    )
    return material
  }
}

async function readValid(dir: string, at: Date): Promise<TlsMaterial> {
  const material = await readIdentityFiles(dir)
  try {
    verifyTlsMaterial(material, at)
  } catch (cause) {
    const until = material.notAfter.toISOString()
    throw new Error(`the certificate in ${dir} is not usable (it ends at ${until})`, { cause })
  }
  return material
}

async function withTimeout<T>(work: Promise<T>): Promise<T> {
  const settled = new AbortController()
  const timeout = setTimeout(RENEW_TIMEOUT_MS, undefined, { signal: settled.signal }).then(() => {
    throw new Error('the certificate authority did not answer in time')
  })
  timeout.catch(() => undefined)
  try {
    return await Promise.race([work, timeout])
  } finally {
    settled.abort()
  }
}

async function waitWithTimer(ms: number, signal: AbortSignal): Promise<void> {
  await setTimeout(ms, undefined, { signal, ref: false })
}
