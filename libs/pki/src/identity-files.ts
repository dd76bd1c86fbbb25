import { readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseTlsMaterial, type TlsMaterial } from './tls-identity.ts'

const FILES = { cert: 'tls.crt', key: 'tls.key', nextKey: 'tls.key.next', ca: 'ca.crt' } as const

/**
 * Reads tls.crt, tls.key and ca.crt. After a crash between two renames the key that belongs to the
 * certificate still lies in tls.key.next.
 * @throws Error that names what is missing or does not fit
 */
export async function readIdentityFiles(dir: string): Promise<TlsMaterial> {
  const cert = await read(dir, FILES.cert)
  const ca = await read(dir, FILES.ca)
  try {
    return parseTlsMaterial({ cert, ca, key: await read(dir, FILES.key) })
  } catch (cause) {
    const key = await read(dir, FILES.nextKey).catch(() => undefined)
    if (key !== undefined) return parseTlsMaterial({ cert, ca, key })
    throw new Error(`${dir} holds no usable certificate (tls.crt, tls.key, ca.crt)`, { cause })
  }
}

/** Writes the three files so that a reader at any moment, also after a crash, gets a working set. */
export async function writeIdentityFiles(dir: string, material: TlsMaterial): Promise<void> {
  await replace(dir, FILES.ca, material.ca, 0o644)
  await writeFile(join(dir, FILES.nextKey), material.key, { mode: 0o600, flush: true })
  await replace(dir, FILES.cert, material.cert, 0o644)
  await rename(join(dir, FILES.nextKey), join(dir, FILES.key))
}

async function replace(dir: string, name: string, text: string, mode: number): Promise<void> {
  const temporary = join(dir, `.${name}.new`)
  await rm(temporary, { force: true })
  await writeFile(temporary, text, { mode, flush: true })
  await rename(temporary, join(dir, name))
}

async function read(dir: string, name: string): Promise<string> {
  try {
    return await readFile(join(dir, name), 'utf8')
  } catch (cause) {
    throw new Error(`reading ${name} of ${dir}`, { cause })
  }
}
