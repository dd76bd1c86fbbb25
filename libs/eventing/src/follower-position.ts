import type { LogEvent } from './log-table.ts'

/** Where a reader stands. The epoch is empty until the owner of the log has answered once. */
export type LogPosition = { readonly epoch: string; readonly pos: bigint }

/** `id` is that of the event at the position, and empty at the start. */
export type ReadUpTo = LogPosition & { readonly id: string }

export const NOWHERE: ReadUpTo = { epoch: '', pos: 0n, id: '' }

/** What the owner sends: the run that follows the event `afterId`, and the head at that moment. */
export type LogRun = {
  readonly epoch: string
  readonly head: bigint
  readonly afterId: string
  readonly events: readonly LogEvent[]
}

/** What to do with a run. */
export type Intake = {
  /** Empty the state first. */
  readonly reset: boolean
  /** The events that come next, in order. */
  readonly apply: readonly LogEvent[]
  readonly at: ReadUpTo
  /** Whether the reader has now all that the owner had. */
  readonly isAtHead: boolean
}

/**
 * A run that was asked for where the reader stands. A log that has another event there is another log,
 * whatever its epoch says: it was restored from a backup, and may have grown past the reader since.
 */
export function takeRun(at: ReadUpTo, run: LogRun): Intake {
  const { epoch, head, afterId } = run
  const reset = epoch !== at.epoch || afterId !== at.id
  const from: ReadUpTo = reset ? { epoch, pos: 0n, id: '' } : at
  const apply = contiguousAfter(from.pos, run.events)
  const last = apply.at(-1)
  const next = last === undefined ? from : { epoch, pos: last.pos, id: last.id }
  return { reset, apply, at: next, isAtHead: next.pos === head }
}

function contiguousAfter(pos: bigint, events: readonly LogEvent[]): readonly LogEvent[] {
  const hole = events.findIndex((event, index) => event.pos !== pos + BigInt(index) + 1n)
  return hole === -1 ? events : events.slice(0, hole)
}
