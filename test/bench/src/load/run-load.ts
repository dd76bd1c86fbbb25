import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { text } from 'node:stream/consumers'
import type { BenchWorld } from '../stacks/bench-world.ts'
import type { Stack } from '../stacks/stack.ts'
import { type LoadAnswer, type Measured, parseLoadAnswer, toMeasured } from './measured.ts'

/** What the load is; the names are the flags of `peers load`. */
export type Load = {
  readonly mode: 'get' | 'connect' | 'echo' | 'up' | 'down' | 'watch' | 'flood' | 'stall'
  readonly path?: string
  readonly conns?: number
  readonly streams?: number
  readonly h2?: boolean
  readonly seconds?: number
  readonly warmup?: number
  readonly bytes?: number
  readonly requests?: number
  readonly rate?: number
  readonly steps?: number
  readonly clusters?: number
  /** Of the upstream: where events for watches come from. */
  readonly control?: string
  /** In the place of the stack's. */
  readonly tokens?: string
}

export type LoadWorld = Pick<BenchWorld, 'peers' | 'upstream'>

const RUN_MS_MAX = 120_000

/** Puts a load on a stack. @throws Error when requests failed: then there is nothing to compare */
export async function runLoad(world: LoadWorld, stack: Stack, load: Load): Promise<Measured> {
  return toMeasured(await answerOf(world, stack, load), stack)
}

/** The same, with all that the load says. @throws Error when requests failed */
export async function answerOf(world: LoadWorld, stack: Stack, load: Load): Promise<LoadAnswer> {
  const child = spawnLoad(world, stack, load)
  const [out] = await Promise.all([text(child.stdout), untilLoadEnds(child)])
  return checked(stack, parseLoadAnswer(out))
}

/** @throws Error when requests failed */
export function checked({ name }: Stack, answer: LoadAnswer): LoadAnswer {
  const { failures, failure } = answer
  if (failures === 0) return answer
  throw new Error(`${name}: ${failures} requests failed, the last with: ${failure}`)
}

export function spawnLoad(
  { peers, upstream }: LoadWorld,
  stack: Stack,
  load: Load,
  msMax = RUN_MS_MAX,
): ChildProcessWithoutNullStreams {
  const parts = [...stack.hops, ...stack.beside, { name: 'upstream', pid: upstream.pid }]
  const target = {
    address: stack.address,
    prefix: stack.prefix,
    cpu: parts.map(({ pid }) => pid).join(','),
    ca: stack.caFile,
    tokens: stack.tokensFile,
  }
  const args = ['load', ...flagsOf({ ...target, ...load })]
  return spawn(peers, args, { timeout: msMax })
}

/** @throws Error with the load's own words when it failed */
export async function untilLoadEnds(child: ChildProcessWithoutNullStreams): Promise<void> {
  const ended = new Promise<number>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code) => resolve(code ?? 1))
  })
  const [code, error] = await Promise.all([ended, text(child.stderr)])
  if (code !== 0) throw new Error(`the load ended with ${code}: ${error.trim()}`)
}

function flagsOf(flags: Readonly<Record<string, string | number | boolean | undefined>>): string[] {
  return Object.entries(flags).flatMap(([name, value]) => {
    if (value === undefined || value === false) return []
    return value === true ? [`--${name}`] : [`--${name}`, String(value)]
  })
}
