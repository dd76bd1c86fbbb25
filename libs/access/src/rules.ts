import type { Attributes } from './attributes.ts'
import type { PolicyRule } from './snapshot.ts'

/** Rules of one role, found by resource. */
export type CompiledRules = {
  /** "pods", "pods/exec" */
  readonly exact: ReadonlyMap<string, readonly CompiledRule[]>
  /** By subresource: rules that name "*" + "/" + subresource. */
  readonly anyOf: ReadonlyMap<string, readonly CompiledRule[]>
  /** Rules that name "*". */
  readonly any: readonly CompiledRule[]
  readonly urls: readonly {
    readonly verbs: ReadonlySet<string>
    readonly urls: readonly string[]
  }[]
}

type CompiledRule = {
  readonly verbs: ReadonlySet<string>
  readonly apiGroups: ReadonlySet<string>
  /** Undefined when the rule is for every name. */
  readonly names: ReadonlySet<string> | undefined
}

const compiledRules = new WeakMap<readonly PolicyRule[], CompiledRules>()

/** Kept for as long as the array of rules lives, which is shared by all who hold the role. */
export function compileRules(rules: readonly PolicyRule[]): CompiledRules {
  const known = compiledRules.get(rules)
  if (known !== undefined) return known
  const exact = new Map<string, CompiledRule[]>()
  const anyOf = new Map<string, CompiledRule[]>()
  const any: CompiledRule[] = []
  for (const rule of rules) {
    const compiled: CompiledRule = {
      verbs: new Set(rule.verbs),
      apiGroups: new Set(rule.apiGroups),
      names: rule.resourceNames.length === 0 ? undefined : new Set(rule.resourceNames),
    }
    for (const resource of new Set(rule.resources)) {
      // Kubernetes gives no meaning to "pods/*": it stays an exact name, which nothing has.
      if (resource === '*') any.push(compiled)
      else if (resource.startsWith('*/')) put(anyOf, resource.slice(2), compiled)
      else put(exact, resource, compiled)
    }
  }
  const urls = rules
    .filter((rule) => rule.nonResourceUrls.length > 0)
    .map((rule) => ({ verbs: new Set(rule.verbs), urls: rule.nonResourceUrls }))
  const compiled = { exact, anyOf, any, urls }
  compiledRules.set(rules, compiled)
  return compiled
}

function put(map: Map<string, CompiledRule[]>, key: string, rule: CompiledRule): void {
  const rules = map.get(key)
  if (rules === undefined) map.set(key, [rule])
  else rules.push(rule)
}

/**
 * Kubernetes RBAC's RuleAllows, with two differences. Only a rule that says "impersonate" gives it,
 * and only one that says "nodes/proxy" gives that, for it runs commands in every pod of the node.
 */
export function rulesAllow(rules: CompiledRules, asked: Attributes, verb: string): boolean {
  if (!asked.isResourceRequest) {
    return rules.urls.some((rule) => verbMatches(rule.verbs, verb) && urlMatches(rule.urls, asked))
  }
  const { resource, subresource } = asked
  const combined = subresource === '' ? resource : `${resource}/${subresource}`
  if (someAllows(rules.exact.get(combined), asked, verb)) return true
  if (combined === 'nodes/proxy' && asked.apiGroup === '') return false
  if (subresource !== '' && someAllows(rules.anyOf.get(subresource), asked, verb)) return true
  return someAllows(rules.any, asked, verb)
}

function someAllows(
  rules: readonly CompiledRule[] | undefined,
  { apiGroup, name }: Attributes,
  verb: string,
): boolean {
  if (rules === undefined) return false
  for (const rule of rules) {
    if (!verbMatches(rule.verbs, verb)) continue
    if (!rule.apiGroups.has(apiGroup) && !rule.apiGroups.has('*')) continue
    if (rule.names === undefined) return true
    // A collection is never one of the names, even when a selector narrows it to one.
    if (name !== '' && verb !== 'deletecollection' && rule.names.has(name)) return true
  }
  return false
}

function verbMatches(verbs: ReadonlySet<string>, verb: string): boolean {
  return verbs.has(verb) || (verb !== 'impersonate' && verbs.has('*'))
}

function urlMatches(urls: readonly string[], { path }: Attributes): boolean {
  return urls.some((url) => {
    if (url === '*' || url === path) return true
    return url.endsWith('*') && path.startsWith(url.replace(/\*+$/, ''))
  })
}
