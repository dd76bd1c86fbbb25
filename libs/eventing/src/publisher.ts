import { type Bus, type BusStream, StreamMissingError, WrongLastSequenceError } from '@postern/bus'
import { messageOf } from '@postern/errors'
import type { Log } from '@postern/telemetry'
import type { Executor } from './database.ts'
import { type LogEvent, readHead, readLog } from './log-table.ts'
import { namesOf } from './names.ts'
import { pause, pauseUnless } from './pause.ts'
import type { Signals } from './signals.ts'
import { toBusMessage } from './wire.ts'

export type PublisherNeeds = {
  readonly db: Executor
  readonly service: string
  readonly bus: Bus
  readonly log: Log
  /** Calls back when something was appended. */
  readonly onAppend: (listener: () => void) => () => void
  readonly signals: Signals
}

const PAGE = 256
/** Published at once: all or none of them, and only behind the one before. */
const WINDOW = 64
const OFFLINE_MS = 1000
/** Where the stream ends is asked for as often as this: another may have wiped it. */
const CHECK_MS = 10_000
const RETRY_MS = 250
const RETRY_MS_MAX = 5000
const RETENTION_SECONDS = 30 * 24 * 60 * 60
/** What a stream that is made anew gets of an old log; readers pull the rest. */
const REFILL_MAX = 200_000n

/**
 * Copies the log to its stream, in order: the event table is the outbox. It never trusts what it did
 * before: whenever the stream is not where it should be, it asks where it is and resumes there.
 */
export async function publishLog(needs: PublisherNeeds, signal: AbortSignal): Promise<void> {
  const { db, service, bus, log, onAppend, signals } = needs
  const stream = bus.stream(namesOf(service).stream)
  let at: { readonly pos: bigint; readonly epoch: string } | undefined
  let checkedAt = 0
  let retryMs = RETRY_MS
  let appends = 0
  const endCounting = onAppend(() => {
    appends += 1
  })
  signal.addEventListener('abort', endCounting)
  while (!signal.aborted) {
    if (!bus.connected) {
      at = undefined
      await pauseUnless((listener) => bus.onConnect(listener), OFFLINE_MS, signal)
      continue
    }
    try {
      if (at === undefined || performance.now() - checkedAt > CHECK_MS) {
        at = await resume(needs, stream)
        checkedAt = performance.now()
      }
      const seen = appends
      const { head, events } = await readLog(db, at.pos, PAGE)
      signals.head.set(Number(head.pos))
      signals.published.set(Number(at.pos))
      if (head.epoch !== at.epoch) {
        at = undefined
      } else if (events.length === 0) {
        if (appends === seen) await pauseUnless(onAppend, CHECK_MS, signal)
      } else {
        at = { pos: await publishRun(needs, stream, at, events), epoch: head.epoch }
      }
      retryMs = RETRY_MS
    } catch (error) {
      at = undefined
      const expected =
        error instanceof WrongLastSequenceError || error instanceof StreamMissingError
      log[expected ? 'debug' : 'warn']({ error: messageOf(error) }, 'publishing was interrupted')
      await pause(retryMs * (0.5 + Math.random()), signal)
      retryMs = Math.min(retryMs * 2, RETRY_MS_MAX)
    }
  }
}

/**
 * Where the stream is. Makes it anew where it is missing, a copy of another epoch, or ahead of the log:
 * whatever the bus says, it says nothing about the log.
 */
async function resume(
  { db, service, log }: PublisherNeeds,
  stream: BusStream,
): Promise<{ pos: bigint; epoch: string }> {
  const { pos, epoch } = await readHead(db)
  const firstSeq = pos > REFILL_MAX ? pos - REFILL_MAX + 1n : 1n
  const subjects = [namesOf(service).subjects]
  const maxAgeSeconds = RETENTION_SECONDS
  const last = await stream.ensure({ subjects, firstSeq, maxAgeSeconds, epoch })
  // The head is read after the stream, which can then only be ahead when it is no copy.
  const head = await readHead(db)
  if (head.epoch === epoch && last > head.pos) {
    log.error(
      { stream: last, head: head.pos },
      'the copy on the bus is ahead of the log: it is made anew',
    )
    await stream.delete()
    throw new WrongLastSequenceError('the copy was deleted')
  }
  return { pos: last, epoch }
}

async function publishRun(
  { service }: PublisherNeeds,
  stream: BusStream,
  at: { readonly pos: bigint; readonly epoch: string },
  events: readonly LogEvent[],
): Promise<bigint> {
  let { pos } = at
  for (let start = 0; start < events.length; start += WINDOW) {
    const window = events.slice(start, start + WINDOW)
    for (const [n, event] of window.entries()) {
      if (event.pos !== pos + 1n + BigInt(n))
        throw new Error(`behind ${pos + BigInt(n)} the log goes on with ${event.pos}`)
    }
    await stream.publish(
      window.map((event) => toBusMessage(service, at.epoch, event)),
      pos,
    )
    pos += BigInt(window.length)
  }
  return pos
}
