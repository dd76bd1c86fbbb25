import type { LoadRun } from './lines/measure-loads.ts'
import type { NeighbourRun } from './lines/measure-neighbours.ts'
import type { WatchRun } from './lines/measure-watches.ts'
import type { WorkRun } from './lines/measure-work.ts'
import type { Machine } from './machine.ts'
import type { Failure } from './plan.ts'
import type { ScaleRun } from './scale/scale-run.ts'

/** Everything that a run of the benchmark found. */
export type Results = {
  readonly startedAt: string
  readonly minutes: number
  readonly machine: Machine
  readonly rounds: number
  /** Shortened: to see whether it works, not to be quoted. */
  readonly quick: boolean
  readonly loads: readonly LoadRun[]
  readonly watches: readonly WatchRun[]
  readonly work: readonly WorkRun[]
  readonly neighbours: readonly NeighbourRun[]
  readonly scale: readonly ScaleRun[]
  /** Why a stack is not there. */
  readonly notes: readonly string[]
  readonly failures: readonly Failure[]
}
