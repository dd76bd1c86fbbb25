import { Rejection, rejections } from '@postern/errors'

/** One rule of a role, with the shape and meaning of an RBAC PolicyRule. */
export type PolicyRule = {
  verbs: string[]
  apiGroups: string[]
  resources: string[]
  resourceNames: string[]
  nonResourceUrls: string[]
}

const RULES_MAX = 100
const ENTRIES_MAX = 100
const ENTRY_CHARACTERS_MAX = 253
const ROLE_CHARACTERS_MAX = 64 * 1024

const rejected = rejections({
  RULES_COUNT: ['invalid_argument', 'a role has 1 to 100 rules'],
  ROLE_TOO_LARGE: ['invalid_argument', 'the rules of a role have at most 65536 characters in all'],
  LIST_TOO_LONG: ['invalid_argument', 'a list in a rule has at most 100 entries'],
  VERBS_MISSING: ['invalid_argument', 'a rule names at least one verb'],
  INVALID_VERB: ['invalid_argument', 'a verb is "*" or lower-case letters, digits and "-"'],
  RULE_KINDS_MIXED: [
    'invalid_argument',
    'a rule is for resources or for nonResourceURLs, not for both; make two rules',
  ],
  API_GROUPS_MISSING: [
    'invalid_argument',
    'a rule for resources names at least one API group; "" is the core group, "*" is every group',
  ],
  RESOURCES_MISSING: ['invalid_argument', 'a rule names at least one resource or nonResourceURL'],
  INVALID_API_GROUP: ['invalid_argument', 'an API group is "", "*" or a DNS subdomain'],
  INVALID_RESOURCE: [
    'invalid_argument',
    'a resource is "*", "pods", "pods/exec" or "*/scale": lower case, and plural as in the URL',
  ],
  SUBRESOURCE_WILDCARD: [
    'invalid_argument',
    'RBAC gives "pods/*" and "*/*" no meaning: name each subresource ("pods/log", "pods/exec"), or use "*" for every resource with its subresources',
  ],
  INVALID_RESOURCE_NAME: [
    'invalid_argument',
    'a resource name is a complete object name; RBAC has no wildcards here: leave resourceNames empty for every object',
  ],
  INVALID_NON_RESOURCE_URL: [
    'invalid_argument',
    'a nonResourceURL is a path beginning with "/", exact or ending in "*"; or "*"',
  ],
})

const VERB = /^(\*|[a-z][a-z0-9-]{0,62})$/
const DNS_LABEL = '[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?'
const API_GROUP = new RegExp(`^(\\*|${DNS_LABEL}(\\.${DNS_LABEL})*)?$`)
const RESOURCE = new RegExp(`^(\\*|(\\*/)?${DNS_LABEL}|${DNS_LABEL}/${DNS_LABEL})$`)
/** A path segment: k8s.io/apimachinery/pkg/api/validation/path IsValidPathSegmentName. */
const RESOURCE_NAME = /^(?!\.\.?$)[^/%*\s\p{Cc}]+$/u
const NON_RESOURCE_URL = /^(\*|\/[^\s*?#\p{Cc}]*\*?)$/u

/**
 * As kube-apiserver's ValidatePolicyRule, and stricter where RBAC accepts what can never match.
 *
 * @throws Rejection that says which rule is wrong, and how
 */
export function checkRules(rules: readonly PolicyRule[]): void {
  if (rules.length < 1 || rules.length > RULES_MAX) throw rejected('RULES_COUNT')
  let characters = 0
  for (const [index, rule] of rules.entries()) {
    checkRule(rule, index)
    for (const entry of Object.values(rule).flat()) characters += entry.length
  }
  if (characters > ROLE_CHARACTERS_MAX) throw rejected('ROLE_TOO_LARGE')
}

function checkRule(rule: PolicyRule, index: number): void {
  const { verbs, apiGroups, resources, resourceNames, nonResourceUrls } = rule
  const refused = (reason: Reason, entry?: string) => inRule(index + 1, reason, entry)
  const each = (entries: string[], isRight: (entry: string) => boolean, reason: Reason) => {
    for (const entry of entries) {
      if (entry.length > ENTRY_CHARACTERS_MAX || !isRight(entry)) throw refused(reason, entry)
    }
  }

  for (const list of [verbs, apiGroups, resources, resourceNames, nonResourceUrls]) {
    if (list.length > ENTRIES_MAX) throw refused('LIST_TOO_LONG')
  }
  if (verbs.length === 0) throw refused('VERBS_MISSING')
  each(verbs, (verb) => VERB.test(verb), 'INVALID_VERB')
  if (nonResourceUrls.length > 0) {
    if (apiGroups.length + resources.length + resourceNames.length > 0) {
      throw refused('RULE_KINDS_MIXED')
    }
    each(nonResourceUrls, (url) => NON_RESOURCE_URL.test(url), 'INVALID_NON_RESOURCE_URL')
    return
  }
  if (resources.length === 0) throw refused('RESOURCES_MISSING')
  if (apiGroups.length === 0) throw refused('API_GROUPS_MISSING')
  each(apiGroups, (apiGroup) => API_GROUP.test(apiGroup), 'INVALID_API_GROUP')
  each(resources, (resource) => !resource.endsWith('/*'), 'SUBRESOURCE_WILDCARD')
  each(resources, (resource) => RESOURCE.test(resource), 'INVALID_RESOURCE')
  each(resourceNames, (name) => RESOURCE_NAME.test(name), 'INVALID_RESOURCE_NAME')
}

type Reason = Parameters<typeof rejected>[0]

function inRule(rule: number, reason: Reason, entry?: string): Rejection {
  const { category, message } = rejected(reason)
  const where = entry === undefined ? `rule ${rule}` : `rule ${rule}, "${entry.slice(0, 80)}"`
  return new Rejection(reason, category, `${where}: ${message}`, { rule })
}
