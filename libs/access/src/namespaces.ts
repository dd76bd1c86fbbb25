import { selects } from './label-selector.ts'
import type { LabelSelector, Labels, NamespaceSelector } from './snapshot.ts'

/** Where a grant holds, made ready for many questions. */
export type CompiledNamespaces = {
  readonly all: boolean
  readonly names: ReadonlySet<string>
  readonly globs: readonly Glob[]
  readonly labels: LabelSelector | undefined
}

/** The literal runs between the stars. */
type Glob = readonly string[]

export function compileNamespaces(selector: NamespaceSelector): CompiledNamespaces {
  const literal = selector.names.filter((name) => name !== '' && !name.includes('*'))
  return {
    all: selector.all,
    names: new Set(literal),
    globs: selector.names.filter((name) => name.includes('*')).map((glob) => glob.split('*')),
    labels: selector.labels,
  }
}

export function selectsNothing({ all, names, labels }: NamespaceSelector): boolean {
  return !all && names.every((name) => name === '') && labels === undefined
}

/**
 * Whether it reaches a namespace, or with "" the cluster scope and lists over all namespaces.
 * Labels select only namespaces that the agent has seen: of any other the labels are unknown.
 */
export function reaches(
  { all, names, globs, labels }: CompiledNamespaces,
  namespace: string,
  observed: ReadonlyMap<string, Labels>,
): boolean {
  if (all) return true
  if (namespace === '') return false
  if (names.has(namespace) || globs.some((glob) => globMatches(glob, namespace))) return true
  if (labels === undefined) return false
  const labelsOfNamespace = observed.get(namespace)
  return labelsOfNamespace !== undefined && selects(labels, labelsOfNamespace)
}

/** The first run is a prefix, the last a suffix, each between them is found leftmost in turn. */
function globMatches(runs: Glob, text: string): boolean {
  const first = runs[0] ?? ''
  const last = runs.at(-1) ?? ''
  if (text.length < first.length + last.length) return false
  if (!text.startsWith(first) || !text.endsWith(last)) return false
  const end = text.length - last.length
  let from = first.length
  for (let i = 1; i < runs.length - 1; i++) {
    const run = runs[i] ?? ''
    const at = text.indexOf(run, from)
    if (at === -1 || at + run.length > end) return false
    from = at + run.length
  }
  return true
}
