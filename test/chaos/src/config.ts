import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../../..', import.meta.url))

/** Where things are. */
export const environment = {
  root,
  /** Programs of ours run under the same Node. */
  node: process.execPath,
  variables: process.env,
}
