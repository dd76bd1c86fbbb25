/** What a caught value says, for a log or for whoever asked. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
