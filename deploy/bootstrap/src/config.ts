import { fileURLToPath } from 'node:url'

/** What this program is told from outside, and where the repository's own folders are. */
const variables = process.env
const root = fileURLToPath(new URL('../../..', import.meta.url))

export const environment = {
  path: variables['PATH'],
  root,
  toolsDir: `${root}.tools`,
  clusterSourceDir: `${root}test/cluster`,
  /** Where `npm start` keeps its data. */
  dataDir: variables['POSTERN_START_DIR'] ?? `${root}.postern`,
  /** Which cluster scripts/requirements.mjs found that there can be. */
  startCluster: variables['POSTERN_START_CLUSTER'],
  /** A folder with kube-apiserver and etcd. */
  kubebuilderAssets: variables['KUBEBUILDER_ASSETS'],
  /** Programs of ours run under the same Node. */
  node: process.execPath,
  variables,
}
