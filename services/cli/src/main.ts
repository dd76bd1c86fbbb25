import { CommanderError } from 'commander'
import { CliError, EXIT } from './exit-code.ts'
import { printable } from './output/printable.ts'
import { createProgram } from './program.ts'

// A reader that has seen enough ("| head") is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error
  process.exit(EXIT.ok)
})

try {
  await createProgram().parseAsync()
} catch (error) {
  process.exitCode = exitCodeOf(error)
  // Commander has said its own already.
  if (!(error instanceof CommanderError)) process.stderr.write(`error: ${messageOf(error)}\n`)
}

function exitCodeOf(error: unknown): number {
  if (error instanceof CliError) return error.exitCode
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage
  return EXIT.refused
}

function messageOf(error: unknown): string {
  return printable(error instanceof Error ? error.message : String(error))
}
