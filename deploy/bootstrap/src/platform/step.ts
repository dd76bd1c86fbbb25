import pc from 'picocolors'

/** Does a step of a longer job and says how long it took. */
export type Step = <T>(name: string, work: () => Promise<T>) => Promise<T>

/** Waits for all of them, also when one fails: what a step starts must not be left behind. */
export async function untilAllEnd<T>(steps: readonly Promise<T>[]): Promise<T[]> {
  const outcomes = await Promise.allSettled(steps)
  return outcomes.map((outcome) => {
    if (outcome.status === 'rejected') throw outcome.reason
    return outcome.value
  })
}

const UNDER_WAY_MS = 20_000

/** Prints each step with its time, one that takes long also while it is under way. Each line names its step: they overlap. */
export function printedSteps(say: (line: string) => void): Step {
  return async (name, work) => {
    const began = performance.now()
    const seconds = () => pc.dim(`${((performance.now() - began) / 1000).toFixed(1)} s`)
    const underWay = setInterval(() => say(`${pc.dim('…')} ${name} ${seconds()}`), UNDER_WAY_MS)
    try {
      const result = await work()
      say(`${pc.green('✓')} ${name} ${seconds()}`)
      return result
    } catch (error) {
      say(`${pc.red('✗')} ${name} ${seconds()}`)
      throw error
    } finally {
      clearInterval(underWay)
    }
  }
}
