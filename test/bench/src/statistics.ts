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

/** How much `y` grows with one more `x`: the line with the least squares. @throws Error for fewer than two points */
export function slopeOf(points: readonly (readonly [x: number, y: number])[]): number {
  if (points.length < 2) throw new Error('a slope needs two points')
  const mean = (at: 0 | 1) => sumOf(points.map((point) => point[at])) / points.length
  const [meanX, meanY] = [mean(0), mean(1)]
  const apart = sumOf(points.map(([x, y]) => (x - meanX) * (y - meanY)))
  return apart / sumOf(points.map(([x]) => (x - meanX) ** 2))
}

export function sumOf(figures: readonly number[]): number {
  return figures.reduce((sum, figure) => sum + figure, 0)
}
