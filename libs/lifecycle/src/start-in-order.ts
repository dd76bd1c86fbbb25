import type { Log } from '@postern/telemetry'
import { type ClosingStack, createClosingStack } from './closing-stack.ts'

export type Step = {
  readonly name: string
  start(): Promise<void>
  stop?(): Promise<void>
}

/**
 * Starts one after the other. When one fails, those before it are stopped in reverse, and the failure
 * is thrown with the step's name. Answers what stops all of them.
 */
export async function startInOrder(steps: readonly Step[], log: Log): Promise<ClosingStack> {
  const stack = createClosingStack({ log })
  for (const step of steps) {
    try {
      await step.start()
    } catch (cause) {
      await stack.close()
      throw new Error(`starting ${step.name}`, { cause })
    }
    stack.defer(step.name, () => step.stop?.())
  }
  return stack
}
