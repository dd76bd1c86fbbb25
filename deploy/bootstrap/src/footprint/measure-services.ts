import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import type { ClosingStack } from '@postern/lifecycle'
import { type Child, freePort, startChild, untilReady } from '@postern/local-servers'
import { environment } from '../config.ts'
import { SERVICES, type ServiceName } from '../platform/environment.ts'
import { memoryOfTree, residentMemory } from '../platform/memory.ts'
import { startServers } from '../platform/start-servers.ts'
import type { Step } from '../platform/step.ts'
import { inFolder, shippedCommand } from './shipped-command.ts'

export type ServiceFootprint = {
  readonly name: string
  readonly residentBytes: number
  /** Its share of what processes have in common; where the kernel tells. */
  readonly proportionalBytes: number | undefined
  readonly readySeconds: number
}

const READY_MS_MAX = 60_000
const DOCKERFILE = join(environment.root, 'deploy/images/Dockerfile')
const BUNDLES = join(environment.root, 'dist/images')

/** Every service in a process of its own, from its bundle and with the options of its image. */
export async function measureServices(options: {
  dir: string
  idleSeconds: number
  step: Step
  closing: ClosingStack
}): Promise<ServiceFootprint[]> {
  const { dir, idleSeconds, step, closing } = options
  await step('bundles', async () => bundle())
  const { environmentOf } = await startServers({ dir: join(dir, 'platform'), step, closing })
  const logs = join(dir, 'logs')
  mkdirSync(logs, { recursive: true })
  const start = async (name: ServiceName) => {
    const began = performance.now()
    const child = await step(name, () => startOne(name, environmentOf(name), logs, closing))
    return { name, child, readySeconds: (performance.now() - began) / 1000 }
  }
  // At the same time: each waits for others.
  const started = await Promise.all(SERVICES.map(start))
  await step(`idle for ${idleSeconds} s`, () => setTimeout(idleSeconds * 1000))
  return started.map(({ name, child, readySeconds }) => {
    const pid = child.process.pid ?? 0
    return {
      name,
      residentBytes: residentMemory(pid),
      proportionalBytes: memoryOfTree(pid),
      readySeconds,
    }
  })
}

function bundle(): void {
  execFileSync(environment.node, [join(environment.root, 'scripts/bundle.mjs'), ...SERVICES], {
    cwd: environment.root,
    stdio: 'pipe',
  })
}

async function startOne(
  name: ServiceName,
  settings: Readonly<Record<string, string>>,
  logs: string,
  closing: ClosingStack,
): Promise<Child> {
  const command = shippedCommand(readFileSync(DOCKERFILE, 'utf8'), name)
  const health = `127.0.0.1:${await freePort()}`
  const httpListen = `POSTERN_${name.replaceAll('-', '_').toUpperCase()}_HTTP_LISTEN`
  const child = startChild({
    command: environment.node,
    args: inFolder(command, join(BUNDLES, name)),
    env: { PATH: environment.path, ...command.env, ...settings, [httpListen]: health },
    logFile: join(logs, `${name}.log`),
  })
  closing.defer(name, () => child.stop())
  await untilReady(name, child, READY_MS_MAX, async () => {
    const signal = AbortSignal.timeout(1000)
    const response = await fetch(`http://${health}/readyz`, { signal })
    if (!response.ok) throw new Error(await response.text())
  })
  return child
}
