import { createPrivateKey, X509Certificate } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import type { Log } from '@postern/telemetry'
import type { ServingCertificate } from './front-interface.ts'

const CHECK_MS = 10_000

/** @throws when a file is missing or the key is not the certificate's */
export async function readServingCertificate(paths: {
  cert: string
  key: string
}): Promise<ServingCertificate> {
  const [cert, key] = await Promise.all([readFile(paths.cert, 'utf8'), readFile(paths.key, 'utf8')])
  if (!new X509Certificate(cert).checkPrivateKey(createPrivateKey(key))) {
    throw new Error(`the key in ${paths.key} does not belong to the certificate in ${paths.cert}`)
  }
  return { cert, key }
}

/** Calls back with every certificate that takes the place of the one before. Answers how to stop. */
export function watchServingCertificate(
  paths: { cert: string; key: string },
  onChange: (certificate: ServingCertificate) => void,
  log: Log,
): () => void {
  let seen: string | undefined
  let busy = false
  async function check(): Promise<void> {
    const stats = await Promise.all([stat(paths.cert), stat(paths.key)])
    const mark = stats.map(({ mtimeMs, size, ino }) => `${mtimeMs}/${size}/${ino}`).join()
    if (seen === undefined) seen = mark
    if (mark === seen) return
    // A half-written pair fails here and is tried again: the mark is only taken once it is good.
    onChange(await readServingCertificate(paths))
    seen = mark
    log.info({ path: paths.cert }, 'serving certificate replaced')
  }
  const timer = setInterval(() => {
    if (busy) return
    busy = true
    check()
      .catch((error: unknown) => log.warn({ err: error }, 'new serving certificate cannot be used'))
      .finally(() => {
        busy = false
      })
  }, CHECK_MS)
  timer.unref()
  check().catch(() => {})
  return () => clearInterval(timer)
}
