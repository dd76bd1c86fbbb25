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

  function touch(sessionId: string, at: Date) {
    const known = seen.get(sessionId)
    if (known === undefined) {
      const fresh = { lastActiveAt: at, openStreams: 0, reported: false }
      seen.set(sessionId, fresh)
      return fresh
    }
    known.lastActiveAt = at
    known.reported = false
    return known
  }

  return {
    /** Something was asked for under it. */
    touch(sessionId: string, at: Date): void {
      touch(sessionId, at)
    },

    /** An open stream is activity as long as it is open. Answers what to call when it ends. */
    streamOpened(sessionId: string, at: Date): () => void {
      touch(sessionId, at).openStreams += 1
      return () => {
        touch(sessionId, needs.now()).openStreams -= 1
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
        // Whatever is asked for while it is reported counts for the next round.
        for (const [, entry] of batch) entry.reported = true
        try {
          await needs.report(activities)
        } catch (error) {
          for (const [, entry] of batch) entry.reported = false
          needs.log.warn({ err: error }, 'session activity was not reported')
          return
        }
        for (const [sessionId, entry] of batch) {
          if (entry.reported && entry.openStreams === 0) seen.delete(sessionId)
        }
      }
    },
  }
}

export type SessionActivity = ReturnType<typeof createSessionActivity>
