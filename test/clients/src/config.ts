import { fileURLToPath } from 'node:url'

const variables = process.env
const root = fileURLToPath(new URL('../../..', import.meta.url))

/** What this program is told from outside, and where things are. */
export const environment = {
  root,
  path: variables['PATH'],
  variables,
  toolsDir: `${root}.tools`,
  clientsDir: `${root}test/clients`,
  clusterSourceDir: `${root}test/cluster`,
}
