import type { Log } from '@postern/telemetry'
import type { Spool } from './spool.ts'
import type { SpooledRun } from './spool-frame.ts'

/** Where records are stored for good. Answers up to which number it has everything. */
export type Ingest = {
  append(batch: SpooledRun & { spoolId: string }): Promise<{ stored: bigint }>
}

const BATCH = { records: 1000, bytes: 2 * 1024 * 1024 }
const RETRY_FIRST_MS = 100
const RETRY_MAX_MS = 5_000

/** Delivers what the spool holds, in order, and lets it forget only what is stored for good. */
export function startShipping(settings: {
  spool: Spool
  ingest: Ingest
  log: Log
  wait: (ms: number, signal: AbortSignal) => Promise<void>
  random: () => number
}): { stop(deadlineMs: number): Promise<void>; readonly failing: boolean } {
  const { spool, ingest, log, wait, random } = settings
  const stopping = new AbortController()
  let failing = false

  async function ship(signal: AbortSignal): Promise<void> {
    for (;;) await deliver(await spool.read(BATCH, signal), signal)
  }

  async function deliver(run: SpooledRun, signal: AbortSignal): Promise<void> {
    let rest = run
    for (let attempt = 0; ; attempt += 1) {
      try {
        const stored = await send(rest)
        await spool.release(stored)
        if (failing) log.info({ stored }, 'audit records are delivered again')
        failing = false
        const taken = Math.max(0, Number(stored - rest.first) + 1)
        rest = { first: rest.first + BigInt(taken), records: rest.records.slice(taken) }
        if (taken > 0) attempt = 0
      } catch (error) {
        if (!failing) log.warn({ err: error }, 'audit records cannot be delivered; they stay here')
        failing = true
      }
      if (rest.records.length === 0) return
      const backoff = Math.min(RETRY_MAX_MS, RETRY_FIRST_MS * 2 ** Math.min(attempt, 10))
      await wait(backoff * (0.5 + random() / 2), signal)
      signal.throwIfAborted()
    }
  }

  async function send(run: SpooledRun): Promise<bigint> {
    const { stored } = await ingest.append({ spoolId: spool.id, ...run })
    // It would pass over what gets these numbers next, and nobody would ever see those records.
    if (stored > spool.last) {
      throw new Error(
        'the audit service has records of this spool that its disk has lost: move the spool away',
      )
    }
    return stored
  }

  const running = ship(stopping.signal).catch((error: unknown) => {
    if (!stopping.signal.aborted) log.error({ err: error }, 'audit records are delivered no more')
  })

  return {
    get failing() {
      return failing
    },
    async stop(deadlineMs) {
      const patience = new AbortController()
      const timer = setTimeout(() => patience.abort(), deadlineMs)
      while (spool.size.unshipped > 0 && !failing && !patience.signal.aborted) {
        await wait(20, patience.signal).catch(() => {})
      }
      clearTimeout(timer)
      stopping.abort()
      await running
    },
  }
}
