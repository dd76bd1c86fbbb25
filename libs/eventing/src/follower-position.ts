import type { LogEvent } from './log-table.ts'

/** Where a reader stands. The epoch is empty until the owner of the log has answered once. */
export type LogPosition = { readonly epoch: string; readonly pos: bigint }

export const NOWHERE: LogPosition = { epoch: '', pos: 0n }

/** What to do with something that arrived. */
export type Intake = {
  /** Empty the state first. */
  readonly reset: boolean
  /** The events that come next, in order. */
  readonly apply: readonly LogEvent[]
  readonly position: LogPosition
  /** Something is missing, or doubtful: ask the owner. */
  readonly pull: boolean
}

/**
 * An event that came on the bus. Only the owner says which epoch is current: a message of another
 * one, which may be old, changes nothing.
 */
export function takePushed(at: LogPosition, epoch: string, event: LogEvent): Intake {
  if (epoch !== at.epoch) return { reset: false, apply: [], position: at, pull: true }
  if (event.pos <= at.pos) return { reset: false, apply: [], position: at, pull: false }
  if (event.pos !== at.pos + 1n) return { reset: false, apply: [], position: at, pull: true }
  return { reset: false, apply: [event], position: { epoch, pos: event.pos }, pull: false }
}

/** The answer to a pull after `asked`. Events may have been pushed since it was asked. */
export function takePulled(
  at: LogPosition,
  asked: bigint,
  page: { readonly epoch: string; readonly head: bigint; readonly events: readonly LogEvent[] },
): Intake {
  // A log that ends before what was read of it is not the log that was read, whatever its epoch says.
  const reset = page.epoch !== at.epoch || page.head < asked
  const from = reset ? 0n : at.pos
  const apply = contiguousAfter(from, page.events)
  const pos = from + BigInt(apply.length)
  return { reset, apply, position: { epoch: page.epoch, pos }, pull: pos < page.head }
}

function contiguousAfter(pos: bigint, events: readonly LogEvent[]): readonly LogEvent[] {
  const run: LogEvent[] = []
  for (const event of events) {
    if (event.pos === pos + BigInt(run.length) + 1n) run.push(event)
  }
  return run
}
