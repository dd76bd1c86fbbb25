import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createSecureContext, type SecureContext } from 'node:tls'

/** What Kubernetes mounts into a pod: who it is and how to reach the API server. */
export type ServiceAccountFiles = {
  readonly namespace: string
  readonly secureContext: SecureContext
  /** The current token; the kubelet replaces the file long before it expires. */
  token(): Promise<string>
}

const TOKEN_MS = 30_000
const TOKEN = /^[\x21-\x7e]{1,16384}$/

/** @throws Error that names the folder, when it is not that of a service account */
export async function openServiceAccount(dir: string): Promise<ServiceAccountFiles> {
  const read = async (name: string) => {
    try {
      return (await readFile(join(dir, name), 'utf8')).trim()
    } catch (cause) {
      throw new Error(
        `${dir} has no ${name}: the agent needs the service account that Kubernetes mounts there`,
        { cause },
      )
    }
  }
  const [namespace, ca] = await Promise.all([read('namespace'), read('ca.crt')])
  let token = { value: '', until: 0 }
  return {
    namespace,
    secureContext: createSecureContext({ ca, minVersion: 'TLSv1.2' }),
    async token() {
      if (performance.now() < token.until) return token.value
      const value = await read('token')
      if (!TOKEN.test(value)) throw new Error(`the token in ${dir} is malformed`)
      token = { value, until: performance.now() + TOKEN_MS }
      return value
    },
  }
}
