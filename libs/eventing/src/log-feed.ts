import { rejections } from '@postern/errors'
import type { FollowEventsResponse } from '@postern/proto/postern/eventlog/v1/event_log'
import type { Head, LogRunPage } from './log-table.ts'
import { pauseUnless } from './pause.ts'
import { shareReads } from './share-reads.ts'
import { untilTick } from './ticks.ts'
import { toRecordedEvent } from './wire.ts'

/** A reader that hears nothing for half as long again asks anew. */
const BEAT_MS = 2000
/** Who may read is checked when a stream is opened, so it is opened again now and then. */
export const STREAM_MS_MAX = 60_000
/** A gateway follows a log twice at most; while a broken connection is noticed, twice that. */
const FEEDS_MAX = 8

const rejected = rejections({
  TOO_MANY_FOLLOWERS: ['resource_exhausted', 'you follow this log too many times at once'],
})

export type LogFeedNeeds = {
  /** The run after a position; never one that was read before it was asked for. */
  readonly readAfter: (pos: bigint) => Promise<LogRunPage>
  /** The head within the last second: a beat says that it was seen. */
  readonly headLately: () => Promise<Head>
  /** Calls back when something was appended, by whatever process. */
  readonly onAppend: (listener: () => void) => () => void
}

/** Sends a log to its readers as it is committed. Readers that stand at the same place share one read. */
export function createLogFeed({ readAfter, headLately, onAppend }: LogFeedNeeds) {
  const reads = new Map<
    bigint,
    { readonly read: () => Promise<FollowEventsResponse>; asked: number }
  >()
  const readers = new Map<string, number>()
  let appends = 0
  const endCounting = onAppend(() => {
    appends += 1
  })

  const readRun = async (pos: bigint): Promise<FollowEventsResponse> => {
    const { head, afterId, events } = await readAfter(pos)
    return { epoch: head.epoch, head: head.pos, afterId, events: events.map(toRecordedEvent) }
  }

  const sharedRun = async (pos: bigint): Promise<FollowEventsResponse> => {
    const shared = reads.get(pos) ?? { read: shareReads(async () => await readRun(pos)), asked: 0 }
    reads.set(pos, shared)
    shared.asked += 1
    try {
      return await shared.read()
    } finally {
      shared.asked -= 1
      if (shared.asked === 0) reads.delete(pos)
    }
  }

  async function* feed(after: bigint, signal: AbortSignal): AsyncGenerator<FollowEventsResponse> {
    let pos = after
    let epoch = ''
    while (!signal.aborted) {
      const appendsSeen = appends
      const run = await sharedRun(pos)
      const isOther = run.epoch !== epoch
      if (isOther || run.events.length > 0) yield run
      // The reader begins anew, and asks for that.
      if (isOther && epoch !== '') return
      epoch = run.epoch
      pos += BigInt(run.events.length)
      if (pos < run.head) continue
      const afterId = run.events.at(-1)?.id ?? run.afterId
      while (appends === appendsSeen) {
        await pauseUnless(onAppend, untilTick(BEAT_MS), signal)
        if (signal.aborted) return
        if (appends !== appendsSeen) break
        const head = await headLately()
        if (head.epoch !== epoch || head.pos !== pos) break
        yield { epoch, head: pos, afterId, events: [] }
      }
    }
  }

  return {
    /**
     * Ends by itself after a minute.
     * @throws Rejection when the reader, by whatever names it, has too many open
     */
    async *follow(
      reader: string,
      after: bigint,
      signal: AbortSignal,
    ): AsyncGenerator<FollowEventsResponse> {
      const open = readers.get(reader) ?? 0
      if (open >= FEEDS_MAX) throw rejected('TOO_MANY_FOLLOWERS')
      readers.set(reader, open + 1)
      try {
        yield* feed(after, AbortSignal.any([signal, AbortSignal.timeout(STREAM_MS_MAX)]))
      } finally {
        const left = (readers.get(reader) ?? 1) - 1
        if (left === 0) readers.delete(reader)
        else readers.set(reader, left)
      }
    },
    close: endCounting,
  }
}
