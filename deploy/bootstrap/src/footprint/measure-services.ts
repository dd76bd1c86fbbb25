import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import type { ClosingStack } from '@postern/lifecycle'
import { environment } from '../config.ts'
import { SERVICES, type ServiceName } from '../platform/environment.ts'
import { memoryOfTree, residentMemory } from '../platform/memory.ts'
import { startServers } from '../platform/start-servers.ts'
import { type Step, untilAllEnd } from '../platform/step.ts'
import { bundleParts, startShipped } from './shipped-services.ts'

export type ServiceFootprint = {
  readonly name: string
  readonly residentBytes: number
  /** Its share of what processes have in common; where the kernel tells. */
  readonly proportionalBytes: number | undefined
  readonly readySeconds: number
}

const BUNDLES = join(environment.root, 'dist/images')

/** Every service in a process of its own, from its bundle and with the options of its image. */
export async function measureServices(options: {
  dir: string
  idleSeconds: number
  step: Step
  closing: ClosingStack
}): Promise<ServiceFootprint[]> {
  const { dir, idleSeconds, step, closing } = options
  await step('bundles', async () => bundleParts(BUNDLES, SERVICES))
  const { environmentOf } = await startServers({ dir: join(dir, 'platform'), step, closing })
  const logs = join(dir, 'logs')
  const start = async (name: ServiceName) => {
    const began = performance.now()
    const order = { name, folder: BUNDLES, settings: environmentOf(name), logs, closing }
    const { child } = await step(name, () => startShipped(order))
    return { name, child, readySeconds: (performance.now() - began) / 1000 }
  }
  // At the same time: each waits for others.
  const started = await untilAllEnd(SERVICES.map(start))
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
