import { setTimeout as delay } from 'node:timers/promises'
import { type Bus, WrongLastSequenceError } from '@postern/bus'
import type { Log } from '@postern/telemetry'
import type { AuditSignals } from '../signals.ts'
import type { LogTail } from './log-tail.ts'
import {
  AUDIT_STREAM,
  AUDIT_SUBJECTS,
  CHECKPOINT_SUBJECT,
  toStreamMessage,
} from './stream-message.ts'

const IDLE_MS = 1000
const RETRY_MS = 500
const CHECKPOINT_MS = 10_000

/**
 * Copies the log into the stream for SIEMs: sequence = index + 1. Where the stream is, is asked of the
 * stream itself; so a lost answer, a second publisher, a restart and a wiped stream are all the same.
 */
export function createAuditPublisher(needs: {
  bus: Bus
  tail: LogTail
  origin: string
  /** The newest signed checkpoint. */
  checkpoint: () => Promise<string>
  retention: { maxAgeSeconds: number; maxBytes: number }
  signals: AuditSignals
  log: Log
  now: () => Date
}) {
  const { bus, tail, origin, checkpoint, retention, signals, log, now } = needs
  const stream = bus.stream(AUDIT_STREAM)
  const stopping = new AbortController()
  let wake: () => void = () => undefined
  let running: Promise<unknown> = Promise.resolve()

  async function publishAll(signal: AbortSignal): Promise<void> {
    let failing = false
    while (!signal.aborted) {
      try {
        if (bus.connected) await publishUntilLost(signal)
        failing = false
      } catch (error) {
        if (!failing) log.warn({ err: error }, 'the audit stream cannot be published to')
        failing = true
      }
      await pause(RETRY_MS, signal)
    }
  }

  /** Returns when the stream is not where this publisher left it. */
  async function publishUntilLost(signal: AbortSignal): Promise<void> {
    const oldest = new Date(now().getTime() - retention.maxAgeSeconds * 1000)
    const firstSeq = BigInt((await tail.firstSince(oldest)) + 1)
    const epoch = await tail.epoch()
    const settings = { subjects: AUDIT_SUBJECTS, firstSeq, epoch, ...retention }
    let next = Number(await stream.ensure(settings))
    const size = await tail.size()
    if (next > size) {
      // The database was restored, or somebody else wrote to the bus: it is no copy of this log.
      log.error(
        { stream: next, log: size },
        'the audit stream is ahead of the log: it is made anew',
      )
      await stream.delete()
      return
    }
    signals.streamLagRecords.observe(size - next)
    while (!signal.aborted) {
      const entries = await tail.read(next)
      if (entries.length === 0) {
        await pause(IDLE_MS, signal)
        // A stream that was wiped while nothing was written is filled again too.
        if (signal.aborted || Number(await stream.lastSeq()) !== next) return
        continue
      }
      try {
        await stream.publish(
          entries.map((entry) => toStreamMessage(origin, entry)),
          BigInt(next),
        )
      } catch (error) {
        if (error instanceof WrongLastSequenceError) return
        throw error
      }
      next += entries.length
    }
  }

  async function announceCheckpoints(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        if (bus.connected) bus.publishCore(CHECKPOINT_SUBJECT, Buffer.from(await checkpoint()))
      } catch (error) {
        log.warn({ err: error }, 'the audit checkpoint could not be announced')
      }
      await delay(CHECKPOINT_MS, undefined, { signal }).catch(() => undefined)
    }
  }

  /** Until there is something to do, at most this long. */
  async function pause(ms: number, signal: AbortSignal): Promise<void> {
    const woken = new AbortController()
    wake = () => woken.abort()
    const ended = AbortSignal.any([signal, woken.signal])
    await delay(ms, undefined, { signal: ended }).catch(() => undefined)
  }

  const forget = bus.onConnect(() => wake())

  return {
    start(): void {
      const { signal } = stopping
      running = Promise.all([publishAll(signal), announceCheckpoints(signal)])
    },
    /** There are new entries. */
    wake: () => wake(),
    async stop(): Promise<void> {
      forget()
      stopping.abort()
      await running
    },
  }
}
