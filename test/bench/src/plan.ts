/** One thing to measure. */
export type Measurement = {
  readonly name: string
  /** About how long it takes, for the time that is left. */
  readonly secondsExpected: number
  /** Resolves with what it found, in a few words. */
  readonly run: () => Promise<string>
}

/** A measurement that could not be made. */
export type Failure = { readonly name: string; readonly message: string }

/**
 * Makes all of them one after the other until the signal, and says after each how long the rest takes. One that
 * fails keeps no other from being made.
 */
export async function runPlan(
  plan: readonly Measurement[],
  say: (line: string) => void,
  signal: AbortSignal,
): Promise<Failure[]> {
  const failures: Failure[] = []
  const began = performance.now()
  let expected = 0
  let left = plan.reduce((sum, { secondsExpected }) => sum + secondsExpected, 0)
  for (const { name, secondsExpected, run } of plan) {
    signal.throwIfAborted()
    let found: string
    try {
      found = await run()
    } catch (error) {
      signal.throwIfAborted()
      const message = error instanceof Error ? error.message : String(error)
      failures.push({ name, message })
      found = `FAILED: ${message}`
    }
    expected += secondsExpected
    left -= secondsExpected
    const pace = (performance.now() - began) / 1000 / expected
    say(`  ${timeLeft(left * pace).padStart(5)} left  ${name}: ${found}`)
  }
  return failures
}

function timeLeft(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds))
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, '0')}`
}
