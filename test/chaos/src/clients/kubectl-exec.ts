import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type BackgroundKubectl, startKubectl } from '@postern/bootstrap'
import { type E2eWorld, words } from '@postern/e2e/support'
import type { ClientOptions } from './client.ts'

export type ExecProtocol = 'websocket' | 'spdy'

/** A shell of a user's that waits for input, once it has begun. */
export async function openKubectlExec(
  world: E2eWorld,
  { url, ca, token }: ClientOptions,
  protocol: ExecProtocol,
): Promise<BackgroundKubectl> {
  const [caFile, kubeconfig] = [
    join(world.dir, 'chaos-ca.crt'),
    join(world.dir, 'chaos.kubeconfig'),
  ]
  writeFileSync(caFile, ca)
  writeFileSync(kubeconfig, '', { mode: 0o600 })
  const where = [`--server=${url}`, `--certificate-authority=${caFile}`, `--token=${token}`]
  const exec = startKubectl({
    program: world.kubectlProgram,
    kubeconfig,
    cacheDir: join(world.dir, 'chaos-cache'),
    args: [...where, ...words('exec -i -n team box -- sh -c'), 'echo ready; cat'],
    env: { KUBECTL_REMOTE_COMMAND_WEBSOCKETS: String(protocol === 'websocket') },
    keepStdinOpen: true,
  })
  try {
    await exec.untilOutput('ready')
    return exec
  } catch (error) {
    await exec.kill()
    throw error
  }
}
