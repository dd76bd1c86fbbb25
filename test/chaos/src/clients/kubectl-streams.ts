import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type BackgroundKubectl, startKubectl } from '@postern/bootstrap'
import { type E2eWorld, words } from '@postern/e2e/support'
import type { ClientOptions } from './client.ts'

export type ExecProtocol = 'websocket' | 'spdy'

/** A shell of a user's that waits for input, once it has begun. */
export function openKubectlExec(
  world: E2eWorld,
  target: ClientOptions,
  protocol: ExecProtocol,
): Promise<BackgroundKubectl> {
  return begun(world, target, {
    args: [...words('exec -i -n team box -- sh -c'), 'echo ready; cat'],
    env: { KUBECTL_REMOTE_COMMAND_WEBSOCKETS: String(protocol === 'websocket') },
    says: 'ready',
  })
}

/** The log of a pod that says something all the time, once its first line has come. */
export function openKubectlLogs(
  world: E2eWorld,
  target: ClientOptions,
  protocol: 'HTTP/1.1' | 'HTTP/2',
): Promise<BackgroundKubectl> {
  return begun(world, target, {
    args: words('logs -f -n team box'),
    env: protocol === 'HTTP/2' ? {} : { DISABLE_HTTP2: '1' },
    says: 'tick',
  })
}

async function begun(
  world: E2eWorld,
  { url, ca, token }: ClientOptions,
  order: {
    readonly args: readonly string[]
    readonly env: Readonly<Record<string, string>>
    readonly says: string
  },
): Promise<BackgroundKubectl> {
  const [caFile, kubeconfig] = [
    join(world.dir, 'chaos-ca.crt'),
    join(world.dir, 'chaos.kubeconfig'),
  ]
  writeFileSync(caFile, ca)
  writeFileSync(kubeconfig, '', { mode: 0o600 })
  const where = [`--server=${url}`, `--certificate-authority=${caFile}`, `--token=${token}`]
  const kubectl = startKubectl({
    program: world.kubectlProgram,
    kubeconfig,
    cacheDir: join(world.dir, 'chaos-cache'),
    args: [...where, ...order.args],
    env: order.env,
    keepStdinOpen: true,
  })
  try {
    await kubectl.untilOutput(order.says)
    return kubectl
  } catch (error) {
    await kubectl.kill()
    throw error
  }
}
