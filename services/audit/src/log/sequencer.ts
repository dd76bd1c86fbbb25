import { setTimeout as delay } from 'node:timers/promises'
import { rejections } from '@postern/errors'
import type { Log } from '@postern/telemetry'
import type { AuditSignals } from '../signals.ts'
import { LogDamagedError } from './log-head.ts'
import type { Delivery, LogWriter } from './log-writer.ts'

const BATCH_RECORDS_MAX = 1000
const BATCH_BYTES_MAX = 8 * 1024 * 1024
const WAITING_BYTES_MAX = 64 * 1024 * 1024
const WAITING_DELIVERIES_MAX = 10_000
/** How long the first delivery of a batch waits for company, and for how much of it. */
const GATHER_MS = 200
const GATHER_BYTES = 1024 * 1024

const rejected = rejections({
  AUDIT_OVERLOADED: ['resource_exhausted', 'too many audit records are waiting; try again later'],
  AUDIT_STOPPING: ['unavailable', 'the audit service is stopping; try again'],
})

type Waiting = {
  readonly delivery: Delivery
  readonly bytes: number
  readonly resolve: (stored: bigint) => void
  readonly reject: (error: unknown) => void
}

export type Sequencer = ReturnType<typeof createSequencer>

/**
 * Gathers the deliveries of all producers into batches and writes one batch at a time. While one is
 * written the next gathers, so that many producers share each transaction.
 */
export function createSequencer(needs: {
  writer: LogWriter
  log: Log
  signals: AuditSignals
  /** Called after each batch that is in the log. */
  onWritten: () => void
  gatherMs?: number
}) {
  const { writer, log, signals, onWritten, gatherMs = GATHER_MS } = needs
  const waiting: Waiting[] = []
  let waitingBytes = 0
  let running: Promise<void> | undefined
  let stopping = false

  async function run(): Promise<void> {
    while (waiting.length > 0) {
      if (!isEnough() && !stopping) await delay(gatherMs)
      await writeBatch(takeBatch())
    }
    // At once, not when the promise settles: a delivery in between would wait for ever.
    running = undefined
  }

  function isEnough(): boolean {
    return waitingBytes >= GATHER_BYTES || countRecords(waiting) >= BATCH_RECORDS_MAX
  }

  function takeBatch(): readonly Waiting[] {
    let records = 0
    let bytes = 0
    const count = waiting.findIndex((next, at) => {
      records += next.delivery.records.length
      bytes += next.bytes
      return at > 0 && (records > BATCH_RECORDS_MAX || bytes > BATCH_BYTES_MAX)
    })
    const batch = waiting.splice(0, count < 0 ? waiting.length : count)
    for (const taken of batch) waitingBytes -= taken.bytes
    return batch
  }

  async function writeBatch(batch: readonly Waiting[]): Promise<void> {
    try {
      await write(batch)
    } catch (error) {
      if (batch.length === 1 || error instanceof LogDamagedError) {
        fail(batch, error)
        return
      }
      // One producer's trouble must not be everyone's: each for itself.
      for (const one of batch) {
        try {
          await write([one])
        } catch (cause) {
          fail([one], cause)
        }
      }
    }
  }

  async function write(batch: readonly Waiting[]): Promise<void> {
    const end = signals.batchSeconds.startTimer()
    const outcome = { outcome: 'failed' }
    try {
      const stored = await writer.write(batch.map(({ delivery }) => delivery))
      outcome.outcome = 'written'
      for (const [at, { resolve }] of batch.entries()) resolve(stored[at] ?? 0n)
      signals.batchRecords.observe(countRecords(batch))
      onWritten()
    } finally {
      end(outcome)
    }
  }

  function fail(batch: readonly Waiting[], error: unknown): void {
    log.error({ err: error, deliveries: batch.length }, 'audit records could not be written')
    for (const { reject } of batch) reject(error)
  }

  return {
    /**
     * Answers the number up to which everything of the delivery's producer is stored for good.
     *
     * @throws Rejection AUDIT_OVERLOADED, AUDIT_STOPPING
     */
    async append(delivery: Delivery): Promise<bigint> {
      const bytes = delivery.records.reduce((sum, record) => sum + record.length, 0)
      if (stopping) throw rejected('AUDIT_STOPPING')
      if (
        waiting.length >= WAITING_DELIVERIES_MAX ||
        (waiting.length > 0 && waitingBytes + bytes > WAITING_BYTES_MAX)
      ) {
        throw rejected('AUDIT_OVERLOADED')
      }
      const answer = new Promise<bigint>((resolve, reject) => {
        waiting.push({ delivery, bytes, resolve, reject })
      })
      waitingBytes += bytes
      running ??= run()
      return await answer
    },

    /** Writes what waits, takes no more. */
    async stop(): Promise<void> {
      stopping = true
      await running
    },
  }
}

function countRecords(deliveries: readonly Waiting[]): number {
  return deliveries.reduce((sum, { delivery }) => sum + delivery.records.length, 0)
}
