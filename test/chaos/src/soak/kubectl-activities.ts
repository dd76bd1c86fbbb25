import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { createKubectl, startKubectl } from '@postern/bootstrap'
import type { Activity } from './activity.ts'
import type { ShippedPlatform } from './shipped-platform.ts'

const NAMESPACE = 'soak'
const STREAM_MS = 20_000

/** What people do with kubectl: each command is a process and a connection of its own. */
export function commands(platform: ShippedPlatform, user: string, kubeconfig: string): Activity {
  const cacheDir = join(platform.dir, `cache-${user}`)
  const kubectl = createKubectl({ program: platform.kubectlProgram, kubeconfig, cacheDir })
  const file = join(platform.dir, `${user}.txt`)
  writeFileSync(file, 'what is copied\n'.repeat(10_000))
  return {
    name: `commands of ${user}`,
    pauseMs: 500,
    async turn(n) {
      const name = `${user}-${n}`
      const object = {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name },
        data: { n: `${n}` },
      }
      const ok = (...args: string[]) => kubectl.ok(['-n', NAMESPACE, ...args])
      await kubectl.ok(['apply', '-n', NAMESPACE, '-f', '-'], JSON.stringify(object))
      await ok('get', 'pods,configmaps', '-o', 'wide')
      await ok('exec', 'box', '--', 'echo', name)
      await ok('logs', 'box', '--tail=5')
      await ok('cp', file, `${NAMESPACE}/box:${user}.txt`)
      await ok('delete', 'configmap', name)
    },
  }
}

/** Streams that somebody opens, uses for a while, and leaves. */
export function streams(platform: ShippedPlatform, user: string, kubeconfig: string): Activity {
  const order = {
    program: platform.kubectlProgram,
    kubeconfig,
    cacheDir: join(platform.dir, `cache-${user}`),
  }
  const start = (...args: string[]) =>
    startKubectl({ ...order, args: ['-n', NAMESPACE, ...args], keepStdinOpen: true })
  return {
    name: `streams of ${user}`,
    pauseMs: 1_000,
    async turn() {
      const logs = start('logs', '-f', 'box', '--tail=1')
      const watch = start('get', 'pods', '--watch')
      const shell = start('exec', '-i', 'box', '--', 'cat')
      const forward = start('port-forward', 'pod/box', ':8080')
      try {
        await Promise.all([
          logs.untilOutput('tick'),
          watch.untilOutput('box'),
          forward.untilOutput('Forwarding from'),
        ])
        shell.write('there and back\n')
        await shell.untilOutput('there and back')
        await wait(STREAM_MS)
      } finally {
        for (const stream of [logs, watch, shell, forward]) await stream.kill()
      }
    },
  }
}
