import type { Choice } from './choice.ts'
import { type LoadRun, planLoads } from './lines/measure-loads.ts'
import { type NeighbourRun, planNeighbours } from './lines/measure-neighbours.ts'
import { planWatches, type WatchRun } from './lines/measure-watches.ts'
import { planWork, type WorkRun } from './lines/measure-work.ts'
import { planWarmUp } from './lines/warm-up.ts'
import { describeMachine } from './machine.ts'
import type { Options } from './options.ts'
import { runPlan } from './plan.ts'
import type { Results } from './results.ts'
import { planScale } from './scale/measure-scale.ts'
import type { ScaleRun } from './scale/scale-run.ts'
import type { BenchWorld } from './stacks/bench-world.ts'
import type { OpenStacks } from './stacks/open-stacks.ts'
import type { Population } from './stacks/population.ts'

/** Measures what was chosen. */
export async function measure(
  world: BenchWorld,
  order: {
    choice: Choice
    stacks: OpenStacks
    goVersion: string
    options: Pick<Options, 'rounds' | 'quick' | 'scaleSeconds'>
    population: Population
    say: (line: string) => void
    signal: AbortSignal
  },
): Promise<Results> {
  const { choice, stacks, options, say } = order
  const { rounds, quick } = options
  const began = new Date()
  const machine = describeMachine(order.goVersion)
  const loads: LoadRun[] = []
  const watches: WatchRun[] = []
  const work: WorkRun[] = []
  const neighbours: NeighbourRun[] = []
  const scale: ScaleRun[] = []
  const plan = [
    ...planWarmUp(world, { lines: choice.loads, stacks, quick }),
    ...planLoads(world, { lines: choice.loads, stacks, rounds, quick, into: loads }),
    // These give their stacks new processes, which the lines above are not to be the first to use.
    ...planWatches(world, { lines: choice.watches, stacks, rounds, quick, into: watches }),
    ...(choice.work ? planWork({ rounds, into: work }) : []),
    ...planNeighbours(world, { lines: choice.neighbours, stacks, rounds, quick, into: neighbours }),
    ...(choice.scale
      ? planScale(world, {
          stacks,
          population: order.population,
          openFilesMax: machine.openFilesMax,
          seconds: options.scaleSeconds,
          into: scale,
        })
      : []),
  ]
  const failures = await runPlan(plan, say, order.signal)
  return {
    startedAt: began.toISOString(),
    minutes: (Date.now() - began.getTime()) / 60_000,
    machine,
    rounds,
    quick,
    loads,
    watches,
    work,
    neighbours,
    scale,
    notes: stacks.notes,
    failures,
  }
}
