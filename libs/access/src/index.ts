import type { Attributes } from './attributes.ts'
import type { Decision, Named, Requester } from './decision.ts'
import type { PolicyRule, Snapshot } from './snapshot.ts'

export {
  type Attributes,
  nonResourceAttributes,
  type RequestInfo,
  resourceAttributes,
} from './attributes.ts'
export type { Allow, Decision, Deny, Named, Requester } from './decision.ts'
export { parseRequestInfo } from './request-info.ts'
export {
  type Cluster,
  type ClusterSelector,
  EMPTY_SNAPSHOT,
  type Grant,
  type GrantSubject,
  type Group,
  type InstallLevel,
  type LabelRequirement,
  type LabelSelector,
  type Labels,
  type NamespaceSelector,
  type PolicyRule,
  type Role,
  type Snapshot,
  type User,
} from './snapshot.ts'

export type CompiledAccess = { readonly userId: string; readonly clusterId: string }
export type Tier = 'postern-view' | 'postern-edit' | 'postern-admin'
export type AccountBindings = {
  /** Without namespaces it is bound in the whole cluster. Sorted. */
  readonly bindings: readonly {
    readonly clusterRole: Tier
    readonly namespaces: readonly string[]
  }[]
  readonly uncovered: readonly { readonly grant: Named; readonly why: string }[]
}
export type Decider = {
  decide(snapshot: Snapshot, requester: Requester, attributes: Attributes, at: Date): Decision
  compiled(snapshot: Snapshot, requester: Requester): CompiledAccess
}

const todo = (): never => {
  throw new Error('not written yet')
}

/** The namespaces of the agent and of the accounts: no grant reaches into them. */
export const AGENT_NAMESPACE = 'postern-system'
export const ACCOUNT_NAMESPACE = 'postern-jit'

export const compile: (snapshot: Snapshot, requester: Requester) => CompiledAccess = todo
export const decide: (
  snapshot: Snapshot,
  requester: Requester,
  attributes: Attributes,
  at: Date,
) => Decision = todo
export const decideCompiled: (
  compiled: CompiledAccess,
  attributes: Attributes,
  at: Date,
) => Decision = todo
/** Compiles at first use and keeps the result as long as the snapshot is the same object. */
export const createDecider: (options?: { entriesMax?: number }) => Decider = todo
export const hasAnyAccess: (compiled: CompiledAccess, at: Date) => boolean = todo
/** When the next of the grants begins or ends. */
export const nextChangeAt: (compiled: CompiledAccess, at: Date) => Date | undefined = todo
export const isDiscovery: (attributes: Attributes) => boolean = todo
export const isSelfReview: (attributes: Attributes) => boolean = todo
/** Whether the audit intent must be durable before the first byte is forwarded. */
export const requiresIntent: (attributes: Attributes, upgrade?: boolean) => boolean = todo
export const isLongRunning: (attributes: Attributes, upgrade?: boolean) => boolean = todo
export const TIER_RULES: Readonly<Record<Tier, readonly PolicyRule[]>> = {
  'postern-view': [],
  'postern-edit': [],
  'postern-admin': [],
}
export const coveringTier: (rules: readonly PolicyRule[]) => Tier | undefined = todo
export const accountBindings: (
  snapshot: Snapshot,
  requester: Requester,
  at: Date,
) => AccountBindings = todo
