import { cpuSecondsOf, proportionalBytesOf } from '../processes.ts'
import type { Part, Stack } from '../stacks/stack.ts'
import { slopeOf } from '../statistics.ts'
import type { Fleet } from './fleet.ts'
import type { ByPart, Point } from './scale-run.ts'

export type Look = (clusters: number, sessions: number) => Point

/** Looks at every process of Postern with simulated clusters behind it. */
export function lookAt(stack: Stack, fleet: Fleet, agents: readonly Part[]): Look {
  return (clusters, sessions) => {
    const bytes: Record<string, number> = {}
    const cpuSeconds: Record<string, number> = {}
    const own = stack.hops.filter(({ name }) => name !== 'agent')
    const upstream = { name: 'clusters (not Postern)', pid: fleet.clustersPid }
    for (const { name, pid } of [...own, ...agents, ...stack.beside, upstream]) {
      bytes[name] = (bytes[name] ?? 0) + proportionalBytesOf(pid)
      cpuSeconds[name] = (cpuSeconds[name] ?? 0) + cpuSecondsOf(pid)
    }
    return { clusters, sessions, bytes, cpuSeconds, atSeconds: performance.now() / 1000 }
  }
}

/** How much each process grows with one more. */
export function growth(
  points: readonly Point[],
  by: 'clusters' | 'sessions',
  of: 'bytes' | 'cpuSeconds',
): Record<string, number> {
  const names = Object.keys(points.at(-1)?.[of] ?? {})
  return Object.fromEntries(
    names.map((name) => [name, slopeOf(points.map((point) => [point[by], point[of][name] ?? 0]))]),
  )
}

export function scaled(figures: ByPart, factor: number): ByPart {
  return Object.fromEntries(Object.entries(figures).map(([name, one]) => [name, one * factor]))
}

/** CPU in between, as a share of the time. */
export function between(before: Point, after: Point): Record<string, number> {
  const seconds = after.atSeconds - before.atSeconds
  return Object.fromEntries(
    Object.entries(after.cpuSeconds).map(([name, cpu]) => [
      name,
      // A process that ended in between takes its CPU with it.
      Math.max(0, cpu - (before.cpuSeconds[name] ?? 0)) / seconds,
    ]),
  )
}
