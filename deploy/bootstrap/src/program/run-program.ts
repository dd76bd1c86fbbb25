import { messageOf } from '@postern/errors'
import { UsageError } from './command-options.ts'
import { createInterruption, type Interruption } from './interruption.ts'

/**
 * Runs a program of the command line to its exit, with the code that `main` answers, or 2 where the command
 * line was not understood or the program could not go on. After Ctrl-C or SIGTERM `main` stops what it
 * started; the code is that of the signal then, whatever becomes of what was under way.
 */
export async function runProgram(
  main: (args: readonly string[], interruption: Interruption) => Promise<number>,
): Promise<never> {
  const interruption = createInterruption()
  const complain = (text: string) => void process.stderr.write(`${text}\n`)
  void interruption.happened.then(() => complain('\nstopping …'))
  const exitCode = await main(process.argv.slice(2), interruption).catch((error: unknown) => {
    if (!interruption.signal.aborted) complain(textOf(error))
    return 2
  })
  // Whatever was left alone may still be under way.
  process.exit(interruption.signal.aborted ? await interruption.happened : exitCode)
}

function textOf(error: unknown): string {
  if (error instanceof UsageError || !(error instanceof Error)) return messageOf(error)
  return error.stack ?? error.message
}
