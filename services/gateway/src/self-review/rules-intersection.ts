import {
  type CompiledAccess,
  decideCompiled,
  isProtectedNamespace,
  nonResourceAttributes,
  type PolicyRule,
  resourceAttributes,
} from '@postern/access'

/** As in the status of a SelfSubjectRulesReview (authorization.k8s.io/v1). */
export type ResourceRule = {
  readonly verbs: readonly string[]
  readonly apiGroups: readonly string[]
  readonly resources: readonly string[]
  readonly resourceNames: readonly string[]
}
type NonResourceRule = {
  readonly verbs: readonly string[]
  readonly nonResourceURLs: readonly string[]
}
export type Rules = {
  readonly resourceRules: readonly ResourceRule[]
  readonly nonResourceRules: readonly NonResourceRule[]
  readonly incomplete: boolean
  /** Why it is incomplete, for the one who reads the list. */
  readonly evaluationError: string
}

const RULES_MAX = 1_000

/** What policy allows a user in one namespace, as rules. Advisory, as the review itself is. */
export function policyRules(access: CompiledAccess, namespace: string, at: Date): Rules {
  const resourceRules: ResourceRule[] = []
  const nonResourceRules: NonResourceRule[] = []
  for (const grant of access.grants) {
    const alone = { ...access, grants: [grant] }
    for (const rule of grant.role.rules) {
      if (resourceRules.length + nonResourceRules.length >= RULES_MAX) break
      if (holdsIn(alone, rule, namespace, at)) resourceRules.push(rule)
      if (holdsForUrls(alone, rule, at)) {
        nonResourceRules.push({ verbs: rule.verbs, nonResourceURLs: rule.nonResourceUrls })
      }
    }
  }
  const lacking = [
    ...(access.grants.some(isTimed) ? ['some of your grants begin or end at a certain time'] : []),
    ...(resourceRules.some(saysMore) ? [BEYOND_RULES] : []),
    ...(isProtectedNamespace(namespace) ? [`Postern guards the namespace "${namespace}"`] : []),
    ...(resourceRules.length + nonResourceRules.length >= RULES_MAX ? [TOO_MANY] : []),
  ]
  return {
    resourceRules,
    nonResourceRules,
    incomplete: lacking.length > 0,
    evaluationError: lacking.join('; '),
  }
}

const TOO_MANY = `there are more than ${RULES_MAX} rules`
const BEYOND_RULES =
  'Postern allows nodes/proxy only where a rule names it, and exec, attach, portforward and proxy only together with create'
const WITH_CREATE = new Set(['exec', 'attach', 'portforward', 'proxy'])

function isTimed({ from, until }: CompiledAccess['grants'][number]): boolean {
  return Number.isFinite(from) || Number.isFinite(until)
}

/** RBAC's reading of the rule allows what Postern does not. */
function saysMore({ verbs, resources }: ResourceRule): boolean {
  if (resources.includes('*') || resources.includes('*/proxy')) return true
  if (verbs.includes('create') || verbs.includes('*')) return false
  return resources.some((resource) => WITH_CREATE.has(resource.split('/')[1] ?? ''))
}

/** What both allow. A pair of rules allows what is in both of them. */
export function intersectRules(policy: Rules, cluster: Rules): Rules {
  const resourceRules: ResourceRule[] = []
  const nonResourceRules: NonResourceRule[] = []
  let cut = false
  for (const [mine, theirs] of pairs(policy.resourceRules, cluster.resourceRules)) {
    const rule = intersectResourceRules(mine, theirs)
    if (rule === undefined) continue
    if (resourceRules.length >= RULES_MAX) cut = true
    else resourceRules.push(rule)
  }
  for (const [mine, theirs] of pairs(policy.nonResourceRules, cluster.nonResourceRules)) {
    const verbs = intersect(mine.verbs, theirs.verbs, covers)
    const urls = intersect(mine.nonResourceURLs, theirs.nonResourceURLs, coversUrl)
    if (verbs.length === 0 || urls.length === 0) continue
    if (nonResourceRules.length >= RULES_MAX) cut = true
    else nonResourceRules.push({ verbs, nonResourceURLs: urls })
  }
  const incomplete = policy.incomplete || cluster.incomplete || cut
  const errors = [policy.evaluationError, cluster.evaluationError, cut ? TOO_MANY : '']
  const evaluationError = errors.filter((error) => error !== '').join('; ')
  return { resourceRules, nonResourceRules, incomplete, evaluationError }
}

function intersectResourceRules(
  mine: ResourceRule,
  theirs: ResourceRule,
): ResourceRule | undefined {
  const verbs = intersect(mine.verbs, theirs.verbs, covers)
  const apiGroups = intersect(mine.apiGroups, theirs.apiGroups, covers)
  const resources = intersect(mine.resources, theirs.resources, coversResource)
  const resourceNames = intersectNames(mine.resourceNames, theirs.resourceNames)
  if (verbs.length === 0 || apiGroups.length === 0 || resources.length === 0) return undefined
  return resourceNames && { verbs, apiGroups, resources, resourceNames }
}

/** No names means every name, so an empty intersection must not look like that. */
function intersectNames(
  mine: readonly string[],
  theirs: readonly string[],
): readonly string[] | undefined {
  if (mine.length === 0) return theirs
  if (theirs.length === 0) return mine
  const common = mine.filter((name) => theirs.includes(name))
  return common.length === 0 ? undefined : common
}

function intersect(
  mine: readonly string[],
  theirs: readonly string[],
  covering: (wider: string, narrower: string) => boolean,
): string[] {
  const narrower = (from: readonly string[], by: readonly string[]) =>
    from.filter((text) => by.some((wider) => covering(wider, text)))
  return [...new Set([...narrower(mine, theirs), ...narrower(theirs, mine)])]
}

const covers = (wider: string, narrower: string) => wider === '*' || wider === narrower

/** `*` covers every resource with every subresource; a star before `/scale`, every resource's scale. */
function coversResource(wider: string, narrower: string): boolean {
  if (covers(wider, narrower)) return true
  return wider.startsWith('*/') && narrower.endsWith(wider.slice(1))
}

function coversUrl(wider: string, narrower: string): boolean {
  return wider === narrower || (wider.endsWith('*') && narrower.startsWith(wider.slice(0, -1)))
}

/** Whether the rule means anything there: asked in its own words, by the one who decides. */
function holdsIn(access: CompiledAccess, rule: PolicyRule, namespace: string, at: Date): boolean {
  const [name = ''] = rule.resourceNames
  return rule.verbs.some((verb) =>
    rule.apiGroups.some((apiGroup) =>
      rule.resources.some((combined) => {
        const [resource = '', subresource = ''] = combined.split('/')
        const asked = resourceAttributes({ verb, apiGroup, resource, subresource, namespace, name })
        return decideCompiled(access, asked, at).outcome === 'allow'
      }),
    ),
  )
}

function holdsForUrls(access: CompiledAccess, rule: PolicyRule, at: Date): boolean {
  const [verb] = rule.verbs
  const [path] = rule.nonResourceUrls
  if (verb === undefined || path === undefined) return false
  return decideCompiled(access, nonResourceAttributes({ verb, path }), at).outcome === 'allow'
}

function* pairs<T, U>(left: readonly T[], right: readonly U[]): Generator<[T, U]> {
  for (const one of left) for (const other of right) yield [one, other]
}
