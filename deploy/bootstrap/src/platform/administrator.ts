import { randomBytes } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type ApiClient, createApiClient } from './api-client.ts'
import type { SecretFiles } from './secrets.ts'

const NAME = 'admin'
const PASSWORD_BYTES = 18

export type Administrator = {
  readonly name: string
  readonly passwordFile: string
  readonly api: ApiClient
}

/** Signs the first administrator in; sets Postern up with a random password at the first start. */
export async function signInAdministrator(platform: {
  readonly secrets: SecretFiles
  readonly apiUrl: string
  /** The one-time set-up token, while there is no administrator. */
  setupToken(): string | undefined
}): Promise<Administrator> {
  const passwordFile = join(platform.secrets.dir, 'admin-password')
  const api = createApiClient({ url: platform.apiUrl, caFile: platform.secrets.webCaFile })
  const setupToken = platform.setupToken()
  if (setupToken !== undefined) {
    // Written before it is used: a crash in between leaves a password that the next start sets.
    if (!existsSync(passwordFile)) {
      writeFileSync(passwordFile, randomBytes(PASSWORD_BYTES).toString('base64url'), {
        mode: 0o600,
      })
    }
    const password = readFileSync(passwordFile, 'utf8')
    const { secret } = await api.call('POST', '/v1/setup', { setupToken, userName: NAME, password })
    return { name: NAME, passwordFile, api: api.withToken(String(secret)) }
  }
  const password = readFileSync(passwordFile, 'utf8')
  const { secret } = await api.call('POST', '/v1/login', { userName: NAME, password })
  return { name: NAME, passwordFile, api: api.withToken(String(secret)) }
}
