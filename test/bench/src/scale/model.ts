import type { ScaleRun } from './scale-run.ts'

/** How much there is of everything. A session is a user on a cluster. */
export type Installation = { readonly clusters: number; readonly sessions: number }

/** What a process needs for it. */
export type Need = { readonly bytes: number; readonly processors: number }

/**
 * From the slopes of a run: memory as it was before anything was there and what each thing adds; CPU while
 * nothing happens, in proportion to what is open. It holds as far as lines stay straight, and no process is
 * said to hold more than one can: what is more than that is more processes.
 */
export function needOf(run: ScaleRun, part: string, { clusters, sessions }: Installation): Need {
  const empty = run.joining[0]?.bytes[part] ?? 0
  const open = run.opening.at(-1)
  const perCluster = Math.max(0, run.bytesPerCluster[part] ?? 0)
  const perSession = Math.max(0, run.bytesPerSession[part] ?? 0)
  const share =
    open === undefined || open.sessions === 0 ? 0 : (run.idleShare[part] ?? 0) / open.sessions
  return {
    bytes: empty + perCluster * clusters + perSession * sessions,
    processors: share * sessions,
  }
}
