/** The middle of some figures, and the smallest and largest. */
export type Spread = { readonly median: number; readonly min: number; readonly max: number }

/** @throws Error when there is none */
export function spreadOf(figures: readonly number[]): Spread {
  const sorted = figures.toSorted((a, b) => a - b)
  const [min, max] = [sorted.at(0), sorted.at(-1)]
  const half = sorted.length / 2
  const [low, high] = [sorted[Math.ceil(half) - 1], sorted[Math.floor(half)]]
  if (min === undefined || max === undefined || low === undefined || high === undefined) {
    throw new Error('no figure was measured')
  }
  return { median: (low + high) / 2, min, max }
}
