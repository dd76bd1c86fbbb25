/** What scripts can rely on. */
export const EXIT = {
  ok: 0,
  /** A rule said no, something was not found, or a verification failed. */
  refused: 1,
  usage: 2,
  /** Sign in first, or again. */
  signedOut: 3,
  /** Postern could not be reached, or failed. */
  unavailable: 4,
} as const

/** Ends the command with a message and an exit code. */
export class CliError extends Error {
  override readonly name = 'CliError'
  readonly exitCode: number

  constructor(exitCode: number, message: string) {
    super(message)
    this.exitCode = exitCode
  }
}
