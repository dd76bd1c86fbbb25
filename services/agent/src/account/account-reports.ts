import { setTimeout } from 'node:timers/promises'
import type { Log } from '@postern/telemetry'

/** What the agent made, could not make, or removed. */
export type AccountReport = {
  readonly sessionId: string
  readonly version: number
  readonly result:
    | { readonly kind: 'provisioned' }
    | { readonly kind: 'removed' }
    | { readonly kind: 'failed'; readonly reason: string }
}

/** Sends a report. `refused`: the session service has heard it and does not want it. */
export type SendReport = (report: AccountReport) => Promise<'taken' | 'refused'>

const RETRY_MS_MIN = 200
const RETRY_MS_MAX = 10_000

/** Tells the session service the last word on each session, until it has heard it. */
export function createAccountReports(needs: {
  readonly send: SendReport
  readonly log: Log
  readonly signal: AbortSignal
}) {
  const { send, log, signal } = needs
  const last = new Map<string, AccountReport>()
  const sending = new Set<string>()

  async function sendAll(sessionId: string): Promise<void> {
    let failures = 0
    for (let report = last.get(sessionId); report !== undefined; report = last.get(sessionId)) {
      try {
        if ((await send(report)) === 'refused') log.warn({ ...report }, 'account report refused')
        failures = 0
        if (last.get(sessionId) === report) last.delete(sessionId)
      } catch (error) {
        failures += 1
        if (failures === 1) log.warn({ err: error, sessionId }, 'account report not delivered')
        const delay = Math.min(RETRY_MS_MIN * 2 ** failures, RETRY_MS_MAX)
        await setTimeout(delay * (0.5 + Math.random() / 2), undefined, { signal, ref: false })
      }
    }
  }

  return {
    report(report: AccountReport): void {
      const { sessionId } = report
      last.set(sessionId, report)
      if (sending.has(sessionId)) return
      sending.add(sessionId)
      sendAll(sessionId)
        // Only the signal ends it: the agent is stopping.
        .catch(() => undefined)
        .finally(() => sending.delete(sessionId))
    },
  }
}
