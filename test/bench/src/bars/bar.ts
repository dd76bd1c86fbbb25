import type { Results } from '../results.ts'
import { type Spread, spreadOf } from '../statistics.ts'

/** Something that is wanted of Postern, as one figure. */
export type Bar = {
  readonly id: string
  readonly title: string
  readonly unit: 'times' | 'Gbit/s' | 'watches a GiB' | 'us'
  /** The figure is to be at least, or at most, this. */
  readonly wanted: { readonly atLeast: number } | { readonly atMost: number }
  /** The figure in each round; none where the run did not measure it. */
  readonly figures: (results: Results) => readonly number[]
}

/** A bar, and what was measured of it. */
export type Judged = {
  readonly id: string
  readonly title: string
  readonly unit: Bar['unit']
  readonly wanted: Bar['wanted']
  readonly measured: Spread | undefined
  /** How far it is on the wanted side, as a share of what is wanted; negative when it is missed. */
  readonly margin: number | undefined
}

export function judge({ figures, ...bar }: Bar, results: Results): Judged {
  const found = figures(results)
  if (found.length === 0) return { ...bar, measured: undefined, margin: undefined }
  const measured = spreadOf(found)
  return { ...bar, measured, margin: marginOf(bar.wanted, measured.median) }
}

function marginOf(wanted: Bar['wanted'], median: number): number {
  if ('atLeast' in wanted) return median / wanted.atLeast - 1
  return 1 - median / wanted.atMost
}
