import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../../..', import.meta.url))

/** What the benchmark is told from outside, and where things are. */
export const environment = {
  root,
  path: process.env['PATH'],
  /** Programs of ours run under the same Node. */
  node: process.execPath,
  toolsDir: `${root}.tools`,
  peersSourceDir: `${root}test/bench/peers`,
}
