import { type Load, runLoad } from '../load/run-load.ts'
import type { Measurement } from '../plan.ts'
import type { BenchWorld } from '../stacks/bench-world.ts'
import type { OpenStacks } from '../stacks/open-stacks.ts'
import type { StackName } from '../stacks/stack.ts'
import { LIST, type LoadLine } from './load-lines.ts'

/**
 * V8 compiles what is used often, again and again, so that a process of Node gets cheaper over its
 * first hundred thousand requests. A peer has only its pools and caches to fill.
 */
const SECONDS = {
  postern: { small: 30, lists: 4, connections: 8 },
  peer: { small: 2, lists: 1, connections: 1 },
}
const QUICK = 4

/** Works every stack until what is measured afterwards is a process in use, not one that begins. */
export function planWarmUp(
  world: Pick<BenchWorld, 'peers' | 'upstream'>,
  order: { lines: readonly LoadLine[]; stacks: OpenStacks; quick: boolean },
): Measurement[] {
  const { lines, stacks, quick } = order
  return stacks.names.flatMap((name) => {
    const measured = lines.filter((line) => line.stacks.includes(name))
    if (measured.length === 0) return []
    const wanted = {
      http2: measured.some(({ load }) => load.h2 === true),
      connections: measured.some(({ load }) => load.mode === 'connect'),
      quick,
    }
    const loads = loadsFor(name, wanted)
    return {
      name: `warm-up ${name}`,
      secondsExpected: loads.reduce((sum, { seconds }) => sum + seconds, 0),
      async run() {
        const found: string[] = []
        for (const load of loads) {
          const { requests, hopMicros } = await runLoad(world, stacks.get(name), load)
          found.push(`${requests} requests, ${hopMicros.toFixed(0)} us of hops`)
        }
        return found.join('; ')
      },
    }
  })
}

function loadsFor(
  name: StackName,
  { http2, connections, quick }: { http2: boolean; connections: boolean; quick: boolean },
): (Load & { seconds: number })[] {
  const of = name === 'postern' ? SECONDS.postern : SECONDS.peer
  const part = quick ? QUICK : 1
  const each = { mode: 'get', warmup: 0 } as const
  return [
    { ...each, conns: 32, seconds: of.small / part },
    ...(http2 ? [{ ...each, h2: true, conns: 4, streams: 8, seconds: of.small / part }] : []),
    { ...each, path: LIST, conns: 8, seconds: of.lists / part },
    ...(connections
      ? [{ ...each, mode: 'connect' as const, conns: 8, seconds: of.connections / part }]
      : []),
  ]
}
