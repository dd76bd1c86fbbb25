import type { Log } from '@postern/telemetry'
import type { Head } from './log-table.ts'
import { shareReads } from './share-reads.ts'

/** Less than the second after which somebody asks again, so that a question is not answered by the one before. */
const LATELY_MS = 750

export type HeadWatch = ReturnType<typeof createHeadWatch>

/** What a process knows of where its log ends, by whatever it read last. */
export function createHeadWatch(needs: {
  readonly readHead: () => Promise<Head>
  readonly changeEpoch: (from: string) => Promise<void>
  /** Something was appended, by whatever process, or the log is another one. */
  readonly onMoved: () => void
  readonly log: Log
}) {
  const { readHead, changeEpoch, onMoved, log } = needs
  let last: Head | undefined
  let readAt = Number.NEGATIVE_INFINITY

  const know = (head: Head): void => {
    if (last?.epoch === head.epoch && head.pos <= last.pos) return
    last = head
    onMoved()
  }

  /**
   * Changes the epoch when the log is seen to end before a head that this process read of it earlier: it
   * was restored in place, under a process that runs.
   */
  const during = async <Value>(
    read: () => Promise<Value>,
    headOf: (value: Value) => Head,
  ): Promise<Value> => {
    // Reads overtake each other: only what was known before this one began is certainly older.
    const before = last
    const beganAt = performance.now()
    const value = await read()
    const head = headOf(value)
    if (before?.epoch === head.epoch && head.pos < before.pos) {
      log.error({ head: head.pos, was: before.pos }, 'the log went back: it was restored')
      await changeEpoch(head.epoch)
      last = undefined
      onMoved()
      throw new Error('the log was restored and has a new epoch: read it anew')
    }
    readAt = Math.max(readAt, beganAt)
    know(head)
    return value
  }

  const now = shareReads(async () => await during(readHead, (head) => head))

  return {
    /** Learns from a read of the log where its head was. */
    during,
    /** Learns what this process appended. */
    know,
    /** Never remembered: a head that is older than the question could hide a revocation. */
    now,
    /** As it was within the last second. Costs no read while others, such as those who hold leases, ask for it. */
    lately: async (): Promise<Head> =>
      last !== undefined && performance.now() - readAt < LATELY_MS ? last : await now(),
  }
}
