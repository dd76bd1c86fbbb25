import type { Attributes } from './attributes.ts'
import type { CompiledAccess, CompiledGrant } from './compile.ts'
import type { Deny } from './decision.ts'
import { reaches } from './namespaces.ts'

const MISSING_MAX = 100
const SHOWN_MAX = 3

/** `why` says why and what to do; it follows the sentence that Kubernetes itself would say. */
export function denial(
  userName: string,
  asked: Attributes,
  verb: string,
  why: string,
  missing: readonly string[] = [],
): Deny {
  return { outcome: 'deny', reason: `${forbidden(userName, asked, verb)}: ${why}`, missing }
}

/** What it says when no grant allows the verb. */
export function denialByGrants(
  access: CompiledAccess,
  userName: string,
  asked: Attributes,
  verb: string,
  at: Date,
): Deny {
  const clusterName = access.cluster?.name ?? ''
  const here = access.grants
    .slice(0, MISSING_MAX)
    .map((compiled) => whyNot(compiled, access, asked, verb, at.getTime()))
  const missing = [...here, ...access.elsewhere].slice(0, MISSING_MAX)
  const on = `on the cluster "${clusterName}"`
  if (here.length === 0) {
    return denial(
      userName,
      asked,
      verb,
      `you have no grant ${on}; ask an administrator of Postern for one`,
      missing,
    )
  }
  const rest = access.grants.length - SHOWN_MAX
  const shown = here.slice(0, SHOWN_MAX).join('; ') + (rest > 0 ? `; and ${rest} more` : '')
  const why = `none of your grants ${on} allows it (${shown}); ask an administrator of Postern for one that does`
  return denial(userName, asked, verb, why, missing)
}

function whyNot(
  { grant, role, from, until, namespaces, rules }: CompiledGrant,
  { cluster }: CompiledAccess,
  asked: Attributes,
  verb: string,
  now: number,
): string {
  const name = `grant "${grant.name}"`
  if (now >= until) return `${name} ended at ${grant.notAfter}`
  if (now < from) return `${name} begins only at ${grant.notBefore}`
  if (!(now >= from && now < until)) return `${name} has a malformed begin or end`
  if (!reaches(namespaces, asked.namespace, cluster?.namespaces ?? new Map())) {
    return asked.namespace === ''
      ? `${name} holds in some namespaces only, and this concerns the whole cluster`
      : `${name} does not reach the namespace "${asked.namespace}"`
  }
  const what = asked.isResourceRequest ? resourceOf(asked) : asked.path
  const isNamed = rules.exact.has('nodes/proxy') || what !== 'nodes/proxy'
  const hint = isNamed ? '' : ', which a rule must name by itself'
  return `role "${role.name}" of ${name} does not allow ${verb} on ${what}${hint}`
}

/** The words of kube-apiserver's ForbiddenStatusError. */
function forbidden(userName: string, asked: Attributes, verb: string): string {
  const who = `User ${quoted(userName)} cannot ${verb}`
  if (!asked.isResourceRequest) return `forbidden: ${who} path ${quoted(asked.path)}`
  const { apiGroup, resource, namespace, name } = asked
  const where = namespace === '' ? 'at the cluster scope' : `in the namespace ${quoted(namespace)}`
  const what = `${who} resource ${quoted(resourceOf(asked))} in API group ${quoted(apiGroup)} ${where}`
  const qualified = apiGroup === '' ? resource : `${resource}.${apiGroup}`
  const object = name === '' ? qualified : `${qualified} ${JSON.stringify(name)}`
  return qualified === '' ? `forbidden: ${what}` : `${object} is forbidden: ${what}`
}

function resourceOf({ resource, subresource }: Attributes): string {
  return subresource === '' ? resource : `${resource}/${subresource}`
}

/** Go's %q for printable text, and then kube-apiserver's escaping of what a browser might run. */
function quoted(text: string): string {
  const quotedText = JSON.stringify(text)
  if (!/[&<>]/.test(quotedText)) return quotedText
  return quotedText.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}
