/** Shapes and meanings are those of proto/postern/policy/events/v1. Everything here is immutable. */

export type PolicyRule = {
  readonly verbs: readonly string[]
  readonly apiGroups: readonly string[]
  readonly resources: readonly string[]
  readonly resourceNames: readonly string[]
  readonly nonResourceUrls: readonly string[]
}

export type Labels = Readonly<Record<string, string>>

export type LabelSelector = {
  readonly matchLabels: Labels
  readonly matchExpressions: readonly LabelRequirement[]
}

export type LabelRequirement = {
  readonly key: string
  /** In, NotIn, Exists or DoesNotExist; a selector with any other selects nothing. */
  readonly operator: string
  readonly values: readonly string[]
}

/** Whom a grant is for: kind "user" or "group"; any other kind is nobody. */
export type GrantSubject = { readonly kind: string; readonly id: string }

export type ClusterSelector = {
  readonly clusterIds: readonly string[]
  readonly labels?: LabelSelector | undefined
}

export type NamespaceSelector = {
  /** Every namespace, cluster-scoped resources and non-resource URLs. */
  readonly all: boolean
  /** Names, or globs where "*" stands for any run of characters. */
  readonly names: readonly string[]
  readonly labels?: LabelSelector | undefined
}

export type User = {
  readonly id: string
  readonly name: string
  readonly disabled: boolean
  readonly groupIds: readonly string[]
}

export type Group = { readonly id: string; readonly name: string }

export type Role = {
  readonly id: string
  readonly name: string
  readonly rules: readonly PolicyRule[]
}

export type Grant = {
  readonly id: string
  readonly name: string
  readonly subjects: readonly GrantSubject[]
  readonly roleId: string
  readonly clusters: ClusterSelector
  readonly namespaces: NamespaceSelector
  /** RFC 3339. It holds from this moment on; absent: at once. */
  readonly notBefore?: string | undefined
  /** RFC 3339. It no longer holds at this moment; absent: until revoked. */
  readonly notAfter?: string | undefined
}

/** Which of the tiers the agent's manifest brought into the cluster; each includes the lower ones. */
export type InstallLevel = 'view' | 'edit' | 'admin'

export type Cluster = {
  readonly id: string
  readonly name: string
  readonly labels: Labels
  readonly installLevel: InstallLevel
  /** Those that the agent has seen, with their labels. */
  readonly namespaces: ReadonlyMap<string, Labels>
}

/** All that a decision may know, at one position of each log. Maps are keyed by id. */
export type Snapshot = {
  readonly users: ReadonlyMap<string, User>
  readonly groups: ReadonlyMap<string, Group>
  readonly roles: ReadonlyMap<string, Role>
  readonly grants: ReadonlyMap<string, Grant>
  readonly clusters: ReadonlyMap<string, Cluster>
}

export const EMPTY_SNAPSHOT: Snapshot = {
  users: new Map(),
  groups: new Map(),
  roles: new Map(),
  grants: new Map(),
  clusters: new Map(),
}
