import type { Log } from '@postern/telemetry'

export type Activity = {
  readonly sessionId: string
  readonly lastActiveAt: Date
  readonly openStreams: number
}

const SESSIONS_PER_REPORT = 500

/** Tells the session service which sessions are in use, so that it ends only the others. */
export function createSessionActivity(needs: {
  report(activities: readonly Activity[]): Promise<void>
  now: () => Date
  log: Log
}) {
  const seen = new Map<string, { lastActiveAt: Date; openStreams: number; reported: boolean }>()

  function entryOf(sessionId: string) {
    const known = seen.get(sessionId)
    if (known !== undefined) return known
    const fresh = { lastActiveAt: needs.now(), openStreams: 0, reported: false }
    seen.set(sessionId, fresh)
    return fresh
  }

  function touch(sessionId: string): void {
    const entry = entryOf(sessionId)
    entry.lastActiveAt = needs.now()
    entry.reported = false
  }

  return {
    touch,

    /** An open stream is activity as long as it is open. Answers what to call when it ends. */
    streamOpened(sessionId: string): () => void {
      entryOf(sessionId).openStreams += 1
      touch(sessionId)
      return () => {
        entryOf(sessionId).openStreams -= 1
        touch(sessionId)
      }
    },

    /** One round. What could not be reported is reported the next time. */
    async report(): Promise<void> {
      const due = [...seen].filter(([, entry]) => !entry.reported || entry.openStreams > 0)
      for (let at = 0; at < due.length; at += SESSIONS_PER_REPORT) {
        const batch = due.slice(at, at + SESSIONS_PER_REPORT)
        const activities = batch.map(([sessionId, { lastActiveAt, openStreams }]) => ({
          sessionId,
          lastActiveAt: openStreams > 0 ? needs.now() : lastActiveAt,
          openStreams,
        }))
        try {
          await needs.report(activities)
        } catch (error) {
          needs.log.warn({ err: error }, 'session activity was not reported')
          return
        }
        for (const [sessionId, entry] of batch) {
          entry.reported = true
          if (entry.openStreams === 0) seen.delete(sessionId)
        }
      }
    },
  }
}

export type SessionActivity = ReturnType<typeof createSessionActivity>
