import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { findProgram } from '@postern/local-servers'
import { environment } from '../config.ts'

/** kubectl of PATH, of KUBEBUILDER_ASSETS, or one that was built for a demo cluster before. */
export function findKubectl(): string {
  const { kubebuilderAssets, path, toolsDir } = environment
  const folders = [
    ...(kubebuilderAssets === undefined ? [] : [kubebuilderAssets]),
    ...built(toolsDir),
  ]
  const found = findProgram('kubectl', path, folders)
  if (found !== undefined) return found
  throw new Error('kubectl is needed, and there is none: https://kubernetes.io/docs/tasks/tools')
}

function built(toolsDir: string): string[] {
  try {
    return readdirSync(toolsDir).map((name) => join(toolsDir, name))
  } catch {
    return []
  }
}
