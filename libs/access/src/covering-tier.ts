import { mayExist, verbsOfSubresource } from './built-in-resources.ts'
import type { PolicyRule } from './snapshot.ts'
import { STANDARD_VERBS, TIER_RULES, TIERS, type Tier } from './tier-rules.ts'

/**
 * The narrowest tier that allows all that these rules do; undefined if none does. A verb "*" counts
 * as the standard verbs on resources, as those that it answers to on a subresource, and as "get" on
 * non-resource URLs, so that an everyday all-powerful role is covered by postern-admin; what lies
 * beyond, no tier and no account has. Rules often list groups and resources together of which not
 * every pair exists (`apiGroups: ["", apps]`): a pair that cannot exist needs no covering.
 */
export function coveringTier(rules: readonly PolicyRule[]): Tier | undefined {
  return TIERS.find((tier) => rules.every((rule) => isCovered(rule, TIER_RULES[tier])))
}

function isCovered(rule: PolicyRule, by: readonly PolicyRule[]): boolean {
  const resources = rule.apiGroups.every((group) =>
    rule.resources
      .filter((resource) => mayExist(group, resource))
      .every((resource) => {
        const star = verbsOfSubresource(group, resource) ?? STANDARD_VERBS
        return meant(rule.verbs, star).every((verb) =>
          by.some((one) => allowsResource(one, verb, group, resource)),
        )
      }),
  )
  if (!resources) return false
  return rule.nonResourceUrls.every((url) =>
    meant(rule.verbs, ['get']).every((verb) => by.some((one) => allowsUrl(one, verb, url))),
  )
}

function meant(verbs: readonly string[], star: readonly string[]): readonly string[] {
  return verbs.flatMap((verb) => (verb === '*' ? star : [verb]))
}

function allowsResource(rule: PolicyRule, verb: string, group: string, resource: string): boolean {
  if (!rule.verbs.includes(verb)) return false
  if (!rule.apiGroups.includes(group) && !rule.apiGroups.includes('*')) return false
  return rule.resources.includes(resource) || rule.resources.includes('*')
}

function allowsUrl(rule: PolicyRule, verb: string, url: string): boolean {
  if (!rule.verbs.includes(verb)) return false
  return rule.nonResourceUrls.some((one) => {
    if (one === '*' || one === url) return true
    return one.endsWith('*') && url.startsWith(one.slice(0, -1))
  })
}
