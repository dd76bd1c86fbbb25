import type { Step } from '../platform/step.ts'

/** Ctrl-C may reach the process twice: from the terminal, and handed on by those that started it. */
const SAME_MS_MAX = 1_000

/** The start was asked to end before it was through. */
class InterruptedError extends Error {
  override readonly name = 'InterruptedError'
}

export type Interruption = {
  readonly isAsked: () => boolean
  /** Resolves at Ctrl-C or SIGTERM. */
  readonly happened: Promise<void>
  /** Steps that begin only while nobody asked for the end: what has begun is finished, and stopped. */
  orStop(step: Step): Step
  /** For work that may be left alone. @throws InterruptedError as soon as somebody asks for the end */
  race<T>(work: Promise<T>): Promise<T>
}

/** The first signal asks for an orderly end; a second one ends the process at once. */
export function createInterruption(): Interruption {
  const asked = new AbortController()
  const { signal } = asked
  const happened = new Promise<void>((resolve) => {
    signal.addEventListener('abort', () => resolve())
  })
  let askedAt = 0
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.on(name, () => {
      if (!signal.aborted) askedAt = performance.now()
      else if (performance.now() - askedAt > SAME_MS_MAX) process.exit(1)
      asked.abort()
    })
  }
  const interrupted = happened.then((): never => {
    throw new InterruptedError('it was asked to end')
  })
  interrupted.catch(() => {})
  return {
    isAsked: () => signal.aborted,
    happened,
    orStop: (step) => async (name, work) => {
      if (signal.aborted) throw new InterruptedError('it was asked to end')
      return await step(name, work)
    },
    race: (work) => Promise.race([work, interrupted]),
  }
}
