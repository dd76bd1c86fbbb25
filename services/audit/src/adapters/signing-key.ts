import { createPrivateKey, type KeyObject } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createNoteSigner, type NoteSigner } from '@postern/tlog'

/** @throws Error that says how to make a key */
export async function loadSigner(origin: string, file: string): Promise<NoteSigner> {
  let key: KeyObject
  try {
    key = createPrivateKey(await readFile(file))
  } catch (cause) {
    throw new Error(
      'POSTERN_AUDIT_SIGNING_KEY_FILE cannot be read as a private key in PEM: make one with `openssl genpkey -algorithm ed25519`',
      { cause },
    )
  }
  return createNoteSigner(origin, key)
}
