import { type Load, type Measured, runLoad } from '../load.ts'
import type { Options } from '../options.ts'
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

/** Round by round, and within a round stack by stack: whatever else the machine does meets all of them. */
export async function measureLoads(
  world: Pick<BenchWorld, 'peers' | 'upstream'>,
  order: {
    lines: readonly LoadLine[]
    opened: OpenStacks
    options: Options
    say: (line: string) => void
  },
): Promise<LoadRun[]> {
  const { lines, opened, options, say } = order
  const runs: LoadRun[] = []
  for (const line of lines) {
    const stacks = [...opened.stacks.values()].filter(({ name }) => line.stacks.includes(name))
    for (let round = 1; round <= options.rounds; round += 1) {
      for (const stack of stacks) {
        const measured = await runLoad(
          world,
          stack,
          options.quick ? shortened(line.load) : line.load,
        )
        runs.push({ line: line.id, stack: stack.name, round, ...measured })
        say(`  ${line.id} ${round}/${options.rounds} ${stack.name}: ${inShort(measured)}`)
      }
    }
  }
  return runs
}

const QUICK = 4

function shortened(load: Load): Load {
  const { seconds, warmup, bytes } = load
  return {
    ...load,
    ...(seconds === undefined ? {} : { seconds: seconds / QUICK }),
    ...(warmup === undefined ? {} : { warmup: warmup / QUICK }),
    ...(bytes === undefined ? {} : { bytes: bytes / QUICK }),
  }
}

function inShort(measured: Measured): string {
  const { perSecond, hopMicros, p50Micros, p99Micros, foreignShare } = measured
  return [
    `${perSecond.toFixed(0)}/s`,
    `${hopMicros.toFixed(1)} us of hops`,
    `p50 ${(p50Micros / 1000).toFixed(2)} ms`,
    `p99 ${(p99Micros / 1000).toFixed(2)} ms`,
    `${(foreignShare * 100).toFixed(0)} % of the machine for others`,
  ].join(', ')
}
