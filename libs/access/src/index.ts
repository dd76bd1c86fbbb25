export { type AccountBinding, type AccountBindings, accountBindings } from './account-bindings.ts'
export {
  type Attributes,
  nonResourceAttributes,
  type RequestInfo,
  resourceAttributes,
} from './attributes.ts'
export { type CompiledAccess, type CompiledGrant, compile } from './compile.ts'
export { coveringTier } from './covering-tier.ts'
export { createDecider, type Decider } from './create-decider.ts'
export { decide, decideCompiled, hasAnyAccess, nextChangeAt } from './decide.ts'
export type { Allow, Decision, Deny, Named, Requester } from './decision.ts'
export { ACCOUNT_NAMESPACE, AGENT_NAMESPACE, isProtectedNamespace } from './guardrails.ts'
export { narrowedQuestion, narrowedTarget } from './narrowing.ts'
export {
  isDiscovery,
  isLongRunning,
  isSelfReview,
  type RequestClass,
  requestClass,
  requiresIntent,
} from './request-class.ts'
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

export { TIER_RULES, type Tier } from './tier-rules.ts'
