import { spawn } from 'node:child_process'
import { text } from 'node:stream/consumers'
import type { BenchWorld } from './stacks/bench-world.ts'
import type { Part, Stack } from './stacks/stack.ts'

/** What the load is; the names are the flags of `peers load`. */
export type Load = {
  readonly mode: 'get' | 'connect' | 'echo' | 'up' | 'down'
  readonly path?: string
  readonly conns?: number
  readonly streams?: number
  readonly h2?: boolean
  readonly seconds?: number
  readonly warmup?: number
  readonly bytes?: number
}

/** What one run of the load measured. */
export type Measured = {
  readonly requests: number
  readonly perSecond: number
  readonly p50Micros: number
  readonly p99Micros: number
  readonly bytesPerSecond: number
  /** CPU of the hops together, and of each. */
  readonly hopMicros: number
  readonly hops: Readonly<Record<string, number>>
  /** CPU for each request of what works beside the path, by name. */
  readonly beside: Readonly<Record<string, number>>
  readonly hopSeconds: number
  /** How much of the machine's busy time had nothing to do with this run. */
  readonly foreignShare: number
}

const RUN_MS_MAX = 120_000

/** Puts a load on a stack. @throws Error when requests failed: then there is nothing to compare */
export async function runLoad(
  world: Pick<BenchWorld, 'peers' | 'upstream'>,
  stack: Stack,
  load: Load,
): Promise<Measured> {
  const parts = [...stack.hops, ...stack.beside, { name: 'upstream', pid: world.upstream.pid }]
  const raw = parse(await answerOf(world.peers, [...flagsOf(load), ...targetOf(stack, parts)]))
  if (raw.failures > 0) {
    throw new Error(`${stack.name}: ${raw.failures} requests failed, the last with: ${raw.failure}`)
  }
  return toMeasured(raw, stack)
}

function targetOf(stack: Stack, parts: readonly Part[]): string[] {
  return [
    '--address',
    stack.address,
    '--prefix',
    stack.prefix,
    '--cpu',
    parts.map(({ pid }) => pid).join(','),
    ...(stack.caFile === undefined ? [] : ['--ca', stack.caFile]),
    ...(stack.tokensFile === undefined ? [] : ['--tokens', stack.tokensFile]),
  ]
}

function flagsOf(load: Load): string[] {
  return Object.entries(load).flatMap(([name, value]) =>
    typeof value === 'boolean' ? (value ? [`--${name}`] : []) : [`--${name}`, String(value)],
  )
}

async function answerOf(peers: string, args: readonly string[]): Promise<string> {
  const child = spawn(peers, ['load', ...args], { timeout: RUN_MS_MAX })
  const ended = new Promise<number>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code) => resolve(code ?? 1))
  })
  const [code, out, error] = await Promise.all([ended, text(child.stdout), text(child.stderr)])
  if (code !== 0) throw new Error(`the load ended with ${code}: ${error.trim()}`)
  return out
}

/** As `peers load` prints it. */
type Raw = {
  requests: number
  seconds: number
  perSecond: number
  p50: number
  p99: number
  bytes: number
  failures: number
  failure: string
  cpuSeconds: Readonly<Record<string, number>>
  loadCpuSeconds: number
  machineCpuSeconds: number
}

function parse(line: string): Raw {
  const value: Partial<Raw> = JSON.parse(line)
  const { requests, seconds, perSecond, cpuSeconds } = value
  if (!requests || !seconds || perSecond === undefined || cpuSeconds === undefined) {
    throw new Error(`the load measured nothing: ${line}`)
  }
  return {
    p50: 0,
    p99: 0,
    bytes: 0,
    failures: 0,
    failure: '',
    loadCpuSeconds: 0,
    machineCpuSeconds: 0,
    ...value,
    requests,
    seconds,
    perSecond,
    cpuSeconds,
  }
}

function toMeasured(raw: Raw, stack: Stack): Measured {
  const { requests, seconds, cpuSeconds } = raw
  const micros = (parts: readonly Part[]) => {
    const byName: Record<string, number> = {}
    for (const { name, pid } of parts) {
      byName[name] = (byName[name] ?? 0) + ((cpuSeconds[String(pid)] ?? 0) / requests) * 1e6
    }
    return byName
  }
  const hops = micros(stack.hops)
  const hopMicros = sum(Object.values(hops))
  const own = sum(Object.values(cpuSeconds)) + raw.loadCpuSeconds
  const busy = raw.machineCpuSeconds
  return {
    requests,
    perSecond: raw.perSecond,
    p50Micros: raw.p50,
    p99Micros: raw.p99,
    bytesPerSecond: raw.bytes / seconds,
    hopMicros,
    hops,
    beside: micros(stack.beside),
    hopSeconds: (hopMicros * requests) / 1e6,
    foreignShare: busy === 0 ? 0 : Math.max(0, 1 - own / busy),
  }
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}
