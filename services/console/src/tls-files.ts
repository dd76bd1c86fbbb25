import { createPrivateKey, X509Certificate } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import type { Log } from '@postern/telemetry'

export type TlsFiles = { readonly certFile: string; readonly keyFile: string }
export type TlsPair = { readonly cert: string; readonly key: string }

const LOOK_EVERY_MS = 1000

/** @throws Error when a file is missing or the key is not the certificate's */
export async function readTlsPair({ certFile, keyFile }: TlsFiles): Promise<TlsPair> {
  const [cert, key] = await Promise.all([readFile(certFile, 'utf8'), readFile(keyFile, 'utf8')])
  if (!new X509Certificate(cert).checkPrivateKey(createPrivateKey(key))) {
    throw new Error(`the key in ${keyFile} does not belong to the certificate in ${certFile}`)
  }
  return { cert, key }
}

/**
 * Calls back with every good pair that takes the place of the one before. A pair that cannot be used,
 * perhaps half written, is logged once and looked at again until it can. Answers how to stop.
 */
export function watchTlsPair(
  files: TlsFiles,
  { onChange, log }: { onChange: (pair: TlsPair) => void; log: Log },
): () => void {
  let used: string | undefined
  let complainedAbout: string | undefined
  let timer: NodeJS.Timeout | undefined
  let isStopped = false

  async function look(): Promise<void> {
    const now = await markOf(files)
    used ??= now
    if (now === used) return
    try {
      onChange(await readTlsPair(files))
      used = now
      log.info({ certFile: files.certFile }, 'certificate of the public API replaced')
    } catch (error) {
      if (complainedAbout === now) return
      complainedAbout = now
      log.warn({ err: error }, 'new certificate of the public API cannot be used')
    }
  }

  function lookAgain(): void {
    timer = setTimeout(() => {
      void look()
        .catch(() => undefined)
        .finally(() => {
          if (!isStopped) lookAgain()
        })
    }, LOOK_EVERY_MS)
    timer.unref()
  }

  void look().catch(() => undefined)
  lookAgain()
  return () => {
    isStopped = true
    clearTimeout(timer)
  }
}

/** Differs when either file was written or replaced, also through a symbolic link. */
async function markOf({ certFile, keyFile }: TlsFiles): Promise<string> {
  const stats = await Promise.all([stat(certFile), stat(keyFile)])
  return stats.map(({ mtimeMs, size, ino }) => `${mtimeMs}/${size}/${ino}`).join()
}
