/** What rebuilding one projection from the log gave. */
export type ProjectionReport = {
  readonly projection: string
  /** Events folded. */
  readonly events: number
  readonly hashBefore: string
  readonly hashAfter: string
  readonly equal: boolean
  /** With `verify`, a projection that came out different is left as it was. */
  readonly replaced: boolean
}

export type RebuildReport = {
  /** Position of the log up to which it was rebuilt. */
  readonly pos: bigint
  readonly projections: readonly ProjectionReport[]
  /** Whether every projection came out equal. */
  readonly equal: boolean
}
