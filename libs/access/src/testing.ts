import type { Cluster, Grant, Group, PolicyRule, Role, Snapshot, User } from './snapshot.ts'

type Things = {
  users?: readonly (Partial<User> & { id: string })[]
  groups?: readonly (Partial<Group> & { id: string })[]
  roles?: readonly (Partial<Role> & { id: string })[]
  grants?: readonly (Partial<Grant> & { id: string })[]
  clusters?: readonly (Partial<Cluster> & { id: string })[]
}

/** A snapshot of things whose names are their ids unless said otherwise. */
export function snapshotOf({
  users = [],
  groups = [],
  roles = [],
  grants = [],
  clusters = [],
}: Things): Snapshot {
  return {
    users: byId(users.map((one) => ({ name: one.id, disabled: false, groupIds: [], ...one }))),
    groups: byId(groups.map((one) => ({ name: one.id, ...one }))),
    roles: byId(roles.map((one) => ({ name: one.id, rules: [], ...one }))),
    grants: byId(
      grants.map((one) => ({
        name: one.id,
        subjects: [],
        roleId: '',
        clusters: { clusterIds: [] },
        namespaces: { all: false, names: [] },
        ...one,
      })),
    ),
    clusters: byId(
      clusters.map((one) => ({
        name: one.id,
        labels: {},
        namespaces: new Map(),
        installLevel: 'admin' as const,
        ...one,
      })),
    ),
  }
}

export function ruleOf(rule: Partial<PolicyRule>): PolicyRule {
  return {
    verbs: [],
    apiGroups: rule.resources === undefined ? [] : [''],
    resources: [],
    resourceNames: [],
    nonResourceUrls: [],
    ...rule,
  }
}

function byId<T extends { id: string }>(things: readonly T[]): Map<string, T> {
  return new Map(things.map((one) => [one.id, one]))
}
