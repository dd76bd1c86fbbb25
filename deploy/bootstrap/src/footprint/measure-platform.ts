import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout } from 'node:timers/promises'
import { environment } from '../config.ts'
import { memoryByChild } from '../platform/memory.ts'
import type { Step } from '../platform/step.ts'

export type PlatformFootprint = {
  readonly coldStartSeconds: number
  readonly warmStartSeconds: number
  /** By process; empty where the kernel does not tell. */
  readonly processes: readonly { readonly name: string; readonly bytes: number }[]
}

const START_MS_MAX = 120_000
const STOP_MS_MAX = 60_000

/** `npm start` without the demo cluster: once on an empty folder, once more on what that left. */
export async function measurePlatform(options: {
  dir: string
  idleSeconds: number
  step: Step
}): Promise<PlatformFootprint> {
  const { dir, idleSeconds, step } = options
  const cold = await step('first start of the platform', () => start(dir))
  await stop(cold.child)
  const warm = await step('second start of the platform', () => start(dir))
  try {
    await step(`idle for ${idleSeconds} s`, () => setTimeout(idleSeconds * 1000))
    const pid = Number(readFileSync(join(dir, 'pid'), 'utf8'))
    return {
      coldStartSeconds: cold.seconds,
      warmStartSeconds: warm.seconds,
      processes: memoryByChild(pid),
    }
  } finally {
    await stop(warm.child)
  }
}

/** Resolves once it says that Postern runs: counted from the start of its first process. */
async function start(dir: string): Promise<{ child: ChildProcess; seconds: number }> {
  const began = performance.now()
  const args = [join(environment.root, 'scripts/run.mjs'), 'start', '--no-cluster', '--dir', dir]
  const child = spawn(environment.node, args, {
    cwd: environment.root,
    stdio: ['ignore', 'pipe', 'inherit'],
    detached: true,
  })
  const late = AbortSignal.timeout(START_MS_MAX)
  late.addEventListener('abort', () => child.stdout.destroy())
  const said: string[] = []
  for await (const line of createInterface({ input: child.stdout })) {
    said.push(line)
    if (line.startsWith('Postern runs')) {
      child.stdout.resume()
      return { child, seconds: (performance.now() - began) / 1000 }
    }
  }
  await stop(child)
  throw new Error(`npm start did not come up:\n${said.join('\n')}`)
}

/** As Ctrl-C does: the whole group is told. */
async function stop(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, 'exit', { signal: AbortSignal.timeout(STOP_MS_MAX) })
  process.kill(-child.pid, 'SIGINT')
  await exited
}
