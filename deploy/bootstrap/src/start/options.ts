import { resolve } from 'node:path'
import { optionsOf } from '../program/command-options.ts'

export const HELP = `npm start: the whole of Postern on this machine, with a demo cluster

  npm start                         start, or start again with the data of the last run
  npm start -- --fresh              forget everything first
  npm start -- --no-cluster         without a cluster
  npm start -- --kubeconfig FILE    with the cluster of the file's current context, instead of a demo one
  npm start -- --dir DIR            keep the data there instead of in .postern

The demo cluster is built with Go. Without Go it is k3s in a container, where Docker runs; without that,
what KUBEBUILDER_ASSETS holds (kube-apiserver and etcd: no pods run there).

Ctrl-C stops everything in order, a second one ends at once. The data stays.`

export type StartOptions = {
  readonly dir: string
  readonly fresh: boolean
  readonly help: boolean
  /** Where the cluster comes from that joins. */
  readonly cluster: 'none' | 'built' | 'k3s' | 'envtest' | { readonly kubeconfig: string }
}

/** @throws Error that says what cannot be understood */
export function parseStartOptions(needs: {
  args: readonly string[]
  dataDir: string
  /** What this machine can run a cluster with. */
  found: string | undefined
  isFile: (path: string) => boolean
}): StartOptions {
  const values = optionsOf('npm start', needs.args, {
    fresh: { type: 'boolean', default: false },
    cluster: { type: 'boolean', default: true },
    kubeconfig: { type: 'string' },
    dir: { type: 'string' },
    help: { type: 'boolean', default: false },
  })
  const { fresh, help, kubeconfig, dir = needs.dataDir } = values
  if (kubeconfig !== undefined && !values.cluster) {
    throw new Error('--kubeconfig names a cluster and --no-cluster wants none: choose one')
  }
  const common = { dir: resolve(dir), fresh, help }
  if (!values.cluster) return { ...common, cluster: 'none' }
  if (kubeconfig === undefined) return { ...common, cluster: kindOf(needs.found) }
  const file = resolve(kubeconfig)
  if (!needs.isFile(file)) throw new Error(`there is no kubeconfig ${file}`)
  return { ...common, cluster: { kubeconfig: file } }
}

function kindOf(found: string | undefined): 'built' | 'k3s' | 'envtest' {
  return found === 'k3s' || found === 'envtest' ? found : 'built'
}
