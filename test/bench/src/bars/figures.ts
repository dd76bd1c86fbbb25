import type { LoadRun } from '../lines/measure-loads.ts'
import type { WatchRun } from '../lines/measure-watches.ts'
import type { Results } from '../results.ts'
import type { StackName } from '../stacks/stack.ts'

export function loads(results: Results, line: string, stack: StackName): readonly LoadRun[] {
  return results.loads.filter((run) => run.line === line && run.stack === stack)
}

export function watches(results: Results, line: string, stack: StackName): readonly WatchRun[] {
  return results.watches.filter((run) => run.line === line && run.stack === stack)
}

/** Postern's figure to the peer's, for each round that has both. */
export function loadRatios(
  results: Results,
  line: string,
  peer: StackName,
  figure: (run: LoadRun) => number,
): number[] {
  return ratios(loads(results, line, 'postern'), loads(results, line, peer), figure)
}

export function watchRatios(
  results: Results,
  line: string,
  peer: StackName,
  figure: (run: WatchRun) => number,
): number[] {
  return ratios(watches(results, line, 'postern'), watches(results, line, peer), figure)
}

/** What Postern adds to the p50 without any hop, to what the peer adds. */
export function addedP50(results: Results, line: string, peer: StackName): number[] {
  const direct = new Map(loads(results, line, 'direct').map((run) => [run.round, run.p50Micros]))
  return loadRatios(
    results,
    line,
    peer,
    (run) => run.p50Micros - (direct.get(run.round) ?? NaN),
  ).filter(Number.isFinite)
}

function ratios<Run extends { readonly round: number }>(
  ours: readonly Run[],
  theirs: readonly Run[],
  figure: (run: Run) => number,
): number[] {
  return ours.flatMap((run) => {
    const peer = theirs.find(({ round }) => round === run.round)
    return peer === undefined ? [] : [figure(run) / figure(peer)]
  })
}
