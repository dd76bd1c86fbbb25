import { type CompiledGrant, compile } from './compile.ts'
import { coveringTier } from './covering-tier.ts'
import { grantsAt } from './decide.ts'
import type { Named, Requester } from './decision.ts'
import { isProtectedNamespace } from './guardrails.ts'
import type { InstallLevel, Snapshot } from './snapshot.ts'
import { TIERS, type Tier } from './tier-rules.ts'

/** More namespaces than this are bound as one in the whole cluster: each costs the agent an object. */
const NAMESPACES_MAX = 20

export type AccountBindings = {
  /** Sorted. Without namespaces the role is bound in the whole cluster. */
  readonly bindings: readonly AccountBinding[]
  /** Grants that the account cannot have, by name. */
  readonly uncovered: readonly { readonly grant: Named; readonly why: string }[]
}

export type AccountBinding = { readonly clusterRole: Tier; readonly namespaces: readonly string[] }

const TOP_TIER: Readonly<Record<InstallLevel, Tier>> = {
  view: 'postern-view',
  edit: 'postern-edit',
  admin: 'postern-admin',
}

/**
 * What the user's account in the cluster must be bound to so that his grants work there. It may reach
 * further than they do: the gateway decides each request, this is the line behind it.
 */
export function accountBindings(
  snapshot: Snapshot,
  requester: Requester,
  at: Date,
): AccountBindings {
  const access = compile(snapshot, requester)
  const uncovered: { grant: Named; why: string }[] = []
  const wanted = new Map<Tier, Set<string> | 'everywhere'>()
  for (const compiled of grantsAt(access, at)) {
    const level = access.cluster?.installLevel ?? 'view'
    const tier = coveringTier(compiled.role.rules)
    if (tier === undefined || TIERS.indexOf(tier) > TIERS.indexOf(TOP_TIER[level])) {
      uncovered.push({ grant: compiled.allow.grant, why: whyUncovered(compiled, tier, level) })
    } else {
      want(wanted, tier, compiled)
    }
  }
  return { bindings: narrowed(wanted), uncovered }
}

function whyUncovered({ role }: CompiledGrant, tier: Tier | undefined, level: InstallLevel) {
  if (tier === undefined) {
    return `no tier of accounts has all rules of role "${role.name}"; verbs like impersonate, bind or escalate cannot be given`
  }
  return `role "${role.name}" needs ${tier}, and the agent was installed with ${TOP_TIER[level]} at most; install it again at a higher level`
}

function want(
  wanted: Map<Tier, Set<string> | 'everywhere'>,
  tier: Tier,
  { namespaces: { all, globs, labels, names } }: CompiledGrant,
): void {
  if (all || globs.length > 0 || labels !== undefined || names.size > NAMESPACES_MAX) {
    wanted.set(tier, 'everywhere')
    return
  }
  for (const namespace of names) {
    // More than reading is never allowed there, whatever the grant says.
    const inNamespace = isProtectedNamespace(namespace) ? 'postern-view' : tier
    const known = wanted.get(inNamespace) ?? new Set()
    if (known !== 'everywhere') wanted.set(inNamespace, known.add(namespace))
  }
}

/** From the widest tier down, without what a wider one already gives. */
function narrowed(wanted: ReadonlyMap<Tier, Set<string> | 'everywhere'>): AccountBinding[] {
  const bindings: AccountBinding[] = []
  const covered = new Set<string>()
  for (const clusterRole of TIERS.toReversed()) {
    const where = wanted.get(clusterRole)
    if (where === undefined) continue
    const namespaces = where === 'everywhere' ? [] : [...where].filter((one) => !covered.has(one))
    if (where === 'everywhere' || namespaces.length > NAMESPACES_MAX) {
      bindings.push({ clusterRole, namespaces: [] })
      break
    }
    for (const namespace of namespaces) covered.add(namespace)
    if (namespaces.length > 0) bindings.push({ clusterRole, namespaces: namespaces.toSorted() })
  }
  return bindings.toReversed()
}
