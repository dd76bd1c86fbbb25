import { mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Log } from '@postern/telemetry'
import type { Kubectl } from './kubectl.ts'

const NAMESPACE = 'postern-system'
const SERVICE_ACCOUNT = 'postern-agent'
const LIFE = '1h'
const AGAIN_MS = 30_000
const REFRESH_MS_MIN = 10_000

export type ServiceAccountFolder = {
  readonly dir: string
  stop(): void
}

/**
 * A folder like the one that Kubernetes mounts into a pod of the agent: token, ca.crt, namespace. The
 * token is one of an hour, and replaced at half of its life.
 */
export async function keepServiceAccountFolder(options: {
  dir: string
  kubectl: Kubectl
  ca: string
  log: Log
}): Promise<ServiceAccountFolder> {
  const { dir, kubectl, ca, log } = options
  mkdirSync(dir, { recursive: true, mode: 0o700 })
  writeFileSync(join(dir, 'ca.crt'), ca)
  writeFileSync(join(dir, 'namespace'), NAMESPACE)
  let timer: NodeJS.Timeout | undefined

  /** Answers when the next one is due, in milliseconds. */
  async function refresh(): Promise<number> {
    const order = ['create', 'token', SERVICE_ACCOUNT, '-n', NAMESPACE, `--duration=${LIFE}`]
    const token = (await kubectl.ok(order)).trim()
    // The agent reads it at any moment: it finds the old one or the new one.
    const draft = join(dir, 'token.new')
    writeFileSync(draft, token, { mode: 0o600 })
    renameSync(draft, join(dir, 'token'))
    return refreshInMs(token, new Date())
  }
  function later(ms: number): void {
    timer = setTimeout(() => {
      refresh().then(later, (error: unknown) => {
        log.warn({ err: error }, 'the token of the agent could not be replaced')
        later(AGAIN_MS)
      })
    }, ms)
    timer.unref()
  }

  later(await refresh())
  return { dir, stop: () => clearTimeout(timer) }
}

/** Half of what is left of the token's life: the API server may have shortened it. */
export function refreshInMs(token: string, now: Date): number {
  const [, claims = ''] = token.split('.')
  const parsed: unknown = JSON.parse(Buffer.from(claims, 'base64url').toString())
  const hasEnd = typeof parsed === 'object' && parsed !== null && 'exp' in parsed
  if (!hasEnd || typeof parsed.exp !== 'number') throw new Error('the token does not say its end')
  return Math.max(REFRESH_MS_MIN, (parsed.exp * 1000 - now.getTime()) / 2)
}
