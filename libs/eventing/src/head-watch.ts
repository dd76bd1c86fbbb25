import type { Log } from '@postern/telemetry'
import type { Executor } from './database.ts'
import { changeEpoch } from './epoch.ts'
import type { Head } from './log-table.ts'

/**
 * Changes the epoch when the log is seen to end before a head that this process read of it earlier: it
 * was restored in place, under a process that runs.
 */
export function createHeadWatch({ db, log }: { readonly db: Executor; readonly log: Log }) {
  let last: Head | undefined

  return async <Value>(
    read: () => Promise<Value>,
    headOf: (value: Value) => Head,
  ): Promise<Value> => {
    // Reads overtake each other: only what was known before this one began is certainly older.
    const before = last
    const value = await read()
    const head = headOf(value)
    if (before?.epoch === head.epoch && head.pos < before.pos) {
      log.error({ head: head.pos, was: before.pos }, 'the log went back: it was restored')
      await changeEpoch(db, head.epoch)
      last = undefined
      throw new Error('the log was restored and has a new epoch: read it anew')
    }
    if (last === undefined || last.epoch !== head.epoch || last.pos < head.pos) last = head
    return value
  }
}
