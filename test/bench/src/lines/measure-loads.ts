import type { Measured } from '../load/measured.ts'
import { type Load, runLoad } from '../load/run-load.ts'
import type { Measurement } from '../plan.ts'
import type { BenchWorld } from '../stacks/bench-world.ts'
import type { OpenStacks } from '../stacks/open-stacks.ts'
import type { StackName } from '../stacks/stack.ts'
import type { LoadLine } from './load-lines.ts'

/** One run of one line on one stack. */
export type LoadRun = {
  readonly line: string
  readonly stack: StackName
  readonly round: number
} & Measured

/** Of what moves bytes and not seconds; beside what the load does. */
const STREAM_SECONDS = 4
const START_SECONDS = 0.3
const QUICK = 4

/** Round by round, and within a round stack by stack: whatever else the machine does meets all of them. */
export function planLoads(
  world: Pick<BenchWorld, 'peers' | 'upstream'>,
  order: {
    lines: readonly LoadLine[]
    stacks: OpenStacks
    rounds: number
    quick: boolean
    into: LoadRun[]
  },
): Measurement[] {
  const { lines, stacks, rounds, quick, into } = order
  return lines.flatMap((line) => {
    const load = quick ? shortened(line.load) : line.load
    const measured = stacks.names.filter((name) => line.stacks.includes(name))
    return Array.from({ length: rounds }, (_, at) => at + 1).flatMap((round) =>
      measured.map((name) => ({
        name: `${line.id} ${round}/${rounds} ${name}`,
        secondsExpected: secondsOf(load),
        async run() {
          const run = await runLoad(world, stacks.get(name), load)
          into.push({ line: line.id, stack: name, round, ...run })
          return inShort(run)
        },
      })),
    )
  })
}

function secondsOf({ seconds, warmup = 0 }: Load): number {
  return (seconds ?? STREAM_SECONDS) + warmup + START_SECONDS
}

function shortened(load: Load): Load {
  const { seconds, warmup, bytes } = load
  return {
    ...load,
    ...(seconds === undefined ? {} : { seconds: seconds / QUICK }),
    ...(warmup === undefined ? {} : { warmup: warmup / QUICK }),
    ...(bytes === undefined ? {} : { bytes: bytes / QUICK }),
  }
}

function inShort(run: Measured): string {
  const foreign = `${(run.foreignShare * 100).toFixed(0)} % of the machine for others`
  if (run.requests === 1) {
    const gigabits = (run.bytesPerSecond * 8) / 1e9
    return `${gigabits.toFixed(2)} Gbit/s, ${run.hopSeconds.toFixed(2)} CPU s of hops, ${foreign}`
  }
  return [
    `${run.perSecond.toFixed(0)}/s`,
    `${run.hopMicros.toFixed(1)} us of hops`,
    `p50 ${(run.p50Micros / 1000).toFixed(2)} ms`,
    `p99 ${(run.p99Micros / 1000).toFixed(2)} ms`,
    foreign,
  ].join(', ')
}
