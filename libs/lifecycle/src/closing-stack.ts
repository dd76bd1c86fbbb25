import { setTimeout } from 'node:timers/promises'
import type { Log } from '@postern/telemetry'

/** What was opened, closed in reverse order on every path. */
export type ClosingStack = AsyncDisposable & {
  /** Closed before everything that was deferred earlier; left behind after so long, 10 s if not told. */
  defer(name: string, close: () => unknown, msMax?: number): void
  /** Closes everything, once. Never rejects: what fails or takes too long is logged and left behind. */
  close(): Promise<void>
}

type ClosingStep = {
  readonly name: string
  readonly close: () => unknown
  readonly msMax: number
}

const STEP_MS_MAX = 10_000
const SLOW_MS = 1_000

/** Each step gets at most its deadline; slow ones are logged by name. */
export function createClosingStack(needs: { log: Log; stepMsMax?: number }): ClosingStack {
  const { log, stepMsMax = STEP_MS_MAX } = needs
  const steps: ClosingStep[] = []
  let closing: Promise<void> | undefined

  const close = () => {
    closing ??= closeAll()
    return closing
  }
  return {
    defer(name, closeStep, msMax = stepMsMax) {
      if (closing !== undefined) throw new Error(`${name} was opened while everything closes`)
      steps.push({ name, close: closeStep, msMax })
    },
    close,
    [Symbol.asyncDispose]: close,
  }

  async function closeAll(): Promise<void> {
    for (const step of steps.toReversed()) await closeOne(step)
  }

  async function closeOne({ name, close: closeStep, msMax }: ClosingStep) {
    const startedAt = performance.now()
    try {
      await withDeadline(async () => await closeStep(), msMax)
    } catch (error) {
      log.error({ err: error, step: name }, 'closing failed')
    }
    const tookMs = Math.round(performance.now() - startedAt)
    if (tookMs >= SLOW_MS) log.warn({ step: name, tookMs }, 'closing was slow')
  }
}

/** @throws Error when the work is not done in time; it goes on by itself then */
export async function withDeadline<T>(work: () => Promise<T>, msMax: number): Promise<T> {
  const settled = new AbortController()
  const late = setTimeout(msMax, undefined, { signal: settled.signal }).then(() => {
    throw new Error(`not done within ${msMax} ms`)
  })
  late.catch(() => undefined)
  try {
    return await Promise.race([work(), late])
  } finally {
    settled.abort()
  }
}
