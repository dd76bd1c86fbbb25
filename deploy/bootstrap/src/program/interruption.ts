import { constants } from 'node:os'
import type { Step } from '../platform/step.ts'

/** Ctrl-C may reach the process twice: from the terminal, and handed on by those that started it. */
const SAME_MS_MAX = 1_000

/** The program was asked to end before it was through. */
class InterruptedError extends Error {
  override readonly name = 'InterruptedError'
}

export type Interruption = {
  /** Aborted at Ctrl-C or SIGTERM. */
  readonly signal: AbortSignal
  /** Resolves then, with the exit code that says which it was. */
  readonly happened: Promise<number>
  /** Steps that begin only while nobody asked for the end: what has begun is finished, and stopped. */
  orStop(step: Step): Step
  /** For work that may be left alone. @throws InterruptedError as soon as somebody asks for the end */
  race<T>(work: Promise<T>): Promise<T>
}

/** The first signal asks for an orderly end; a second one ends the process at once. */
export function createInterruption(): Interruption {
  const asked = new AbortController()
  const { signal } = asked
  let askedAt = 0
  const happened = new Promise<number>((resolve) => {
    for (const name of ['SIGINT', 'SIGTERM'] as const) {
      const exitCode = 128 + constants.signals[name]
      process.on(name, () => {
        if (!signal.aborted) askedAt = performance.now()
        else if (performance.now() - askedAt > SAME_MS_MAX) process.exit(exitCode)
        asked.abort(new InterruptedError('it was asked to end'))
        resolve(exitCode)
      })
    }
  })
  const interrupted = happened.then((): never => {
    throw signal.reason
  })
  interrupted.catch(() => {})
  return {
    signal,
    happened,
    orStop: (step) => async (name, work) => {
      signal.throwIfAborted()
      return await step(name, work)
    },
    race: (work) => Promise.race([work, interrupted]),
  }
}
