import { setTimeout as wait } from 'node:timers/promises'

/** Somebody who does the same things again and again until everybody is told to stop. */
export type Activity = {
  readonly name: string
  /** One turn; what goes wrong in it is a failure of the run. */
  readonly turn: (n: number) => Promise<void>
  readonly pauseMs: number
}

export type Done = { readonly name: string; turns: number; readonly failures: string[] }

const FAILURES_KEPT_MAX = 20

export function startActivities(activities: readonly Activity[]) {
  const stopping = new AbortController()
  const { signal } = stopping
  const done: Done[] = []
  const run = async ({ name, turn, pauseMs }: Activity) => {
    const mine: Done = { name, turns: 0, failures: [] }
    done.push(mine)
    while (!signal.aborted) {
      try {
        await turn(mine.turns)
      } catch (error) {
        if (mine.failures.length < FAILURES_KEPT_MAX) mine.failures.push(String(error))
      }
      mine.turns += 1
      await wait(pauseMs, undefined, { signal }).catch(() => {})
    }
  }
  const running = Promise.all(activities.map(run))
  return {
    done,
    /** Resolves when the last turns are over. */
    async stop(): Promise<void> {
      stopping.abort()
      await running
    },
  }
}
