import { CommanderError } from 'commander'
import { CliError, EXIT } from './exit-code.ts'
import { createProgram } from './program.ts'

const program = createProgram()
for (const command of [program, ...program.commands.flatMap((one) => [one, ...one.commands])]) {
  command.exitOverride()
}

// A reader that has seen enough ("| head") is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error
  process.exit(EXIT.ok)
})

try {
  await program.parseAsync()
} catch (error) {
  process.exitCode = exitCodeOf(error)
  const isSaid = error instanceof CommanderError
  if (!isSaid)
    process.stderr.write(`error: ${error instanceof Error ? error.message : String(error)}\n`)
}

function exitCodeOf(error: unknown): number {
  if (error instanceof CliError) return error.exitCode
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage
  return EXIT.refused
}
