/** A folded stream: states are immutable, so it may be handed out as it is. */
export type Snapshot<State> = {
  readonly epoch: string
  readonly state: State
  readonly version: number
  readonly pos: bigint
}

/** Shorter streams are folded faster than they are worth keeping. */
const VERSION_MIN = 32
const STREAMS_MAX = 1000

/**
 * Folded states of long streams, in memory, oldest use first out. It may be dropped at any moment; it
 * belongs to one epoch of the log and, by living in one process, to one version of the code.
 */
export function createSnapshotCache() {
  // By decider, for one stream may be folded in several ways.
  const byDecider = new WeakMap<object, Map<string, Snapshot<unknown>>>()

  return {
    get<State>(decider: { readonly initial: State }, stream: string): Snapshot<State> | undefined {
      const snapshot = byDecider.get(decider)?.get(stream)
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- kept under the decider that made it
      return snapshot as Snapshot<State> | undefined
    },
    put<State>(
      decider: { readonly initial: State },
      stream: string,
      snapshot: Snapshot<State>,
    ): void {
      if (snapshot.version < VERSION_MIN) return
      const streams = byDecider.get(decider) ?? new Map<string, Snapshot<unknown>>()
      byDecider.set(decider, streams)
      streams.delete(stream)
      streams.set(stream, snapshot)
      for (const oldest of streams.keys()) {
        if (streams.size <= STREAMS_MAX) break
        streams.delete(oldest)
      }
    },
    drop(decider: object, stream: string): void {
      byDecider.get(decider)?.delete(stream)
    },
  }
}
