import { fileURLToPath } from 'node:url'

/** What this program is told from outside, and where the repository's own folders are. */
export const environment = {
  root: fileURLToPath(new URL('../../..', import.meta.url)),
  /** Where the person typed the command: npm runs in the repository's own folder, and says so. */
  startedIn: process.env['INIT_CWD'] ?? process.cwd(),
}
