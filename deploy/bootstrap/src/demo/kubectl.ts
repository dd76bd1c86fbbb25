import { environment } from '../config.ts'
import { type Command, createCommand } from './command.ts'

/** A kubectl with one kubeconfig, and a cache of its own. */
export type Kubectl = Command

export function createKubectl(options: {
  program: string
  kubeconfig: string
  cacheDir: string
}): Kubectl {
  const { program, kubeconfig, cacheDir } = options
  const env = { ...environment.variables, KUBECONFIG: kubeconfig }
  return createCommand({ name: 'kubectl', program, args: ['--cache-dir', cacheDir], env })
}
