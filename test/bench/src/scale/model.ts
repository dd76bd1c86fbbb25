import { sumOf } from '../statistics.ts'
import type { ScaleRun } from './scale-run.ts'

/** How much there is of everything. A session is a user on a cluster. */
export type Installation = { readonly clusters: number; readonly sessions: number }

/** What a process needs for it. */
export type Need = { readonly bytes: number; readonly processors: number }

/**
 * From the slopes of a run: memory as it was before anything was there and what each thing adds; CPU while
 * nothing happens in the same way. It holds as far as lines stay straight, and does not say how many processes
 * that is: what one cannot hold is more of them.
 */
export function needOf(run: ScaleRun, part: string, installation: Installation): Need {
  const { clusters, sessions } = installation
  const open = run.opening.at(-1)
  const of = (figures: ScaleRun['idleShare']) => figures[part] ?? 0
  const perCluster = (of(run.idleJoined) - of(run.idleEmpty)) / run.clusters
  const perSession = (of(run.idleShare) - of(run.idleJoined)) / Math.max(1, open?.sessions ?? 0)
  return {
    bytes: sumOf([
      run.joining[0]?.bytes[part] ?? 0,
      atLeastNothing(of(run.bytesPerCluster)) * clusters,
      atLeastNothing(of(run.bytesPerSession)) * sessions,
    ]),
    processors: sumOf([
      of(run.idleEmpty),
      atLeastNothing(perCluster) * clusters,
      atLeastNothing(perSession) * sessions,
    ]),
  }
}

/** What does not grow may seem to shrink: memory is given back while it is measured. */
function atLeastNothing(slope: number): number {
  return Math.max(0, slope)
}
