import type { Attributes } from './attributes.ts'
import { type CompiledAccess, type CompiledGrant, compile } from './compile.ts'
import type { Decision, Requester } from './decision.ts'
import { denial, denialByGrants } from './denial.ts'
import { guardrailAgainst } from './guardrails.ts'
import { reaches } from './namespaces.ts'
import { isDiscovery, isSelfReview } from './request-class.ts'
import { rulesAllow } from './rules.ts'
import type { Labels, Snapshot } from './snapshot.ts'

/** Whether the requester may do what is asked, at that moment. Doubt is denial. */
export function decide(
  snapshot: Snapshot,
  requester: Requester,
  asked: Attributes,
  at: Date,
): Decision {
  return decideCompiled(compile(snapshot, requester), asked, at)
}

export function decideCompiled(access: CompiledAccess, asked: Attributes, at: Date): Decision {
  const { user, cluster } = access
  const userName = user?.name ?? 'unknown'
  const deny = (why: string) => denial(userName, asked, asked.verb, why)
  if (user === undefined) return deny('Postern knows no such user; sign in again')
  if (user.disabled) return deny('the user is disabled; ask an administrator of Postern')
  if (cluster === undefined) return deny('Postern knows no such cluster; check the kubeconfig')

  const forbidden = guardrailAgainst(asked)
  if (forbidden !== undefined) return deny(`${forbidden}; no grant can change this`)
  const now = at.getTime()
  if (isDiscovery(asked) || isSelfReview(asked)) {
    const first = access.grants.find((grant) => isValid(grant, now))
    if (first !== undefined) return first.allowBasics
    return denialByGrants(access, userName, asked, asked.verb, at)
  }

  const { namespaces } = cluster
  const byMethod = firstAllowing(access, asked, asked.verb, now, namespaces)
  if (byMethod === undefined) return denialByGrants(access, userName, asked, asked.verb, at)
  if (asked.verb === 'create' || !needsCreate(asked)) return byMethod.allow
  const byCreate = firstAllowing(access, asked, 'create', now, namespaces)
  if (byCreate === undefined) return denialByGrants(access, userName, asked, 'create', at)
  return byCreate.allow
}

function firstAllowing(
  { grants }: CompiledAccess,
  asked: Attributes,
  verb: string,
  now: number,
  namespaces: ReadonlyMap<string, Labels>,
): CompiledGrant | undefined {
  for (const grant of grants) {
    if (!isValid(grant, now)) continue
    if (!reaches(grant.namespaces, asked.namespace, namespaces)) continue
    if (rulesAllow(grant.rules, asked, verb)) return grant
  }
  return undefined
}

/** Malformed times are NaN, and no comparison holds for that. */
function isValid({ from, until }: CompiledGrant, now: number): boolean {
  return now >= from && now < until
}

const STREAMS = new Set(['pods/exec', 'pods/attach', 'pods/portforward'])
const PROXIES = new Set(['pods/proxy', 'services/proxy', 'nodes/proxy'])

/**
 * A WebSocket arrives as GET, and what runs inside writes: these need `create` beside the method's
 * own verb (KEP-4006; https://github.com/kubernetes/kubernetes/issues/78741, /133515).
 */
function needsCreate({ isResourceRequest, apiGroup, resource, subresource }: Attributes): boolean {
  if (!isResourceRequest || apiGroup !== '' || subresource === '') return false
  const combined = `${resource}/${subresource}`
  return STREAMS.has(combined) || PROXIES.has(combined)
}

/** Whether any grant holds at that moment. */
export function hasAnyAccess({ grants }: CompiledAccess, at: Date): boolean {
  const now = at.getTime()
  return grants.some((grant) => isValid(grant, now))
}

/** The grants that hold at that moment. */
export function grantsAt({ grants }: CompiledAccess, at: Date): CompiledGrant[] {
  const now = at.getTime()
  return grants.filter((grant) => isValid(grant, now))
}

/** When the next of the grants begins or ends, so that a stream can be decided again then. */
export function nextChangeAt({ grants }: CompiledAccess, at: Date): Date | undefined {
  const now = at.getTime()
  let next = Infinity
  for (const { from, until } of grants) {
    if (from > now && from < next) next = from
    if (until > now && until < next) next = until
  }
  return next === Infinity ? undefined : new Date(next)
}
