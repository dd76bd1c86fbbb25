import type { Sample } from './sample.ts'

/** What a run has to say about one figure of a part. */
export type Finding = {
  readonly figure: Figure
  readonly before: number
  readonly middle: number
  readonly last: number
  readonly after: number
  /** Over the second half, by the line that fits its samples best. */
  readonly growth: number
  readonly allowed: number
}

/** Flat: over the second half it grows by no more than this share, or this much where that is more. */
const TOLERANCES = {
  residentBytes: { share: 0.1, least: 16 * 1024 * 1024 },
  heapBytes: { share: 0.05, least: 2 * 1024 * 1024 },
  externalBytes: { share: 0.1, least: 2 * 1024 * 1024 },
  handles: { share: 0.1, least: 8 },
  files: { share: 0.1, least: 8 },
  sockets: { share: 0.1, least: 8 },
} as const

export type Figure = keyof typeof TOLERANCES
const FIGURES: readonly Figure[] = [
  'residentBytes',
  'heapBytes',
  'externalBytes',
  'handles',
  'files',
  'sockets',
]

/** Of these nothing may be left when everybody has gone, but this many. */
const LEFT_MAX: Readonly<Partial<Record<Figure, number>>> = { handles: 8, files: 8, sockets: 8 }

/** `samples` under load, in order; `before` and `after` while nobody uses it. */
export function findingsOf(
  before: Sample,
  samples: readonly Sample[],
  after: Sample,
): readonly Finding[] {
  const half = samples.slice(Math.floor(samples.length / 2))
  return FIGURES.map((figure) => {
    const middle = half[0]?.[figure] ?? before[figure]
    const { share, least } = TOLERANCES[figure]
    return {
      figure,
      before: before[figure],
      middle,
      last: samples.at(-1)?.[figure] ?? middle,
      after: after[figure],
      growth: growthOf(half.map((sample) => ({ at: sample.minute, value: sample[figure] }))),
      allowed: Math.max(share * middle, least),
    }
  })
}

/** What is wrong with it under load; nothing where it is flat. */
export function growthProblems(part: string, findings: readonly Finding[]): readonly string[] {
  return findings.flatMap(({ figure, growth, allowed }) =>
    growth > allowed ? [`${part}: ${figure} grew by ${Math.round(growth)} in the second half`] : [],
  )
}

/** What is left when everybody has gone, and of what kind; nothing where it is back where it was. */
export function leftProblems(part: string, before: Sample, after: Sample): readonly string[] {
  return FIGURES.flatMap((figure) => {
    const left = LEFT_MAX[figure]
    if (left === undefined || after[figure] <= before[figure] + left) return []
    const text = `${part}: ${figure} were ${before[figure]} before and are ${after[figure]} after`
    return [figure === 'handles' ? `${text} (${moreKinds(before, after)})` : text]
  })
}

function moreKinds(before: Sample, after: Sample): string {
  const kinds = Object.entries(after.handlesByKind).map(([kind, count]) => {
    const more = count - (before.handlesByKind[kind] ?? 0)
    return more > 0 ? [`${kind} +${more}`] : []
  })
  return kinds.flat().join(', ')
}

/** Of the line of least squares, from the first point to the last. */
function growthOf(points: readonly { readonly at: number; readonly value: number }[]): number {
  const mean = (of: (point: { at: number; value: number }) => number) =>
    points.reduce((sum, point) => sum + of(point), 0) / points.length
  const [meanAt, meanValue] = [mean(({ at }) => at), mean(({ value }) => value)]
  const spread = points.reduce((sum, { at }) => sum + (at - meanAt) ** 2, 0)
  if (spread === 0) return 0
  const slope =
    points.reduce((sum, { at, value }) => sum + (at - meanAt) * (value - meanValue), 0) / spread
  return slope * ((points.at(-1)?.at ?? 0) - (points[0]?.at ?? 0))
}
