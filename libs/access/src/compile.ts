import type { Allow, Requester } from './decision.ts'
import { selects } from './label-selector.ts'
import { type CompiledNamespaces, compileNamespaces, selectsNothing } from './namespaces.ts'
import { type CompiledRules, compileRules } from './rules.ts'
import type { Cluster, Grant, Role, Snapshot, User } from './snapshot.ts'

/** All that one snapshot says about one user on one cluster, made ready for many questions. */
export type CompiledAccess = {
  readonly user: User | undefined
  readonly cluster: Cluster | undefined
  /** Sorted, so that of several grants that allow a request always the same one decides. */
  readonly grants: readonly CompiledGrant[]
  /** Why each other grant of the user says nothing here. */
  readonly elsewhere: readonly string[]
}

export type CompiledGrant = {
  readonly grant: Grant
  readonly role: Role
  /** Milliseconds since 1970. It holds from `from` on and no longer at `until`. */
  readonly from: number
  readonly until: number
  readonly namespaces: CompiledNamespaces
  readonly rules: CompiledRules
  /** The answers it gives, made once. */
  readonly allow: Allow
  readonly allowBasics: Allow
}

export function compile(snapshot: Snapshot, { userId, clusterId }: Requester): CompiledAccess {
  const user = snapshot.users.get(userId)
  const cluster = snapshot.clusters.get(clusterId)
  const grants: CompiledGrant[] = []
  const elsewhere: string[] = []
  if (user === undefined || user.disabled || cluster === undefined) {
    return { user, cluster, grants, elsewhere }
  }
  for (const grant of grantsOf(snapshot, user)) {
    const role = snapshot.roles.get(grant.roleId)
    if (!isOnCluster(grant, cluster)) {
      elsewhere.push(`grant "${grant.name}" is not for the cluster "${cluster.name}"`)
    } else if (role === undefined) {
      elsewhere.push(`the role of grant "${grant.name}" does not exist`)
    } else if (role.rules.length === 0) {
      elsewhere.push(`role "${role.name}" of grant "${grant.name}" has no rules`)
    } else if (selectsNothing(grant.namespaces)) {
      elsewhere.push(`grant "${grant.name}" selects no namespace`)
    } else {
      grants.push(compileGrant(grant, role))
    }
  }
  return { user, cluster, grants, elsewhere }
}

function compileGrant(grant: Grant, role: Role): CompiledGrant {
  const by = {
    outcome: 'allow',
    grant: { id: grant.id, name: grant.name },
    role: { id: role.id, name: role.name },
    missing: [],
  } as const
  const suffix = `grant "${grant.name}" with role "${role.name}"`
  return {
    grant,
    role,
    from: grant.notBefore === undefined ? -Infinity : Date.parse(grant.notBefore),
    until: grant.notAfter === undefined ? Infinity : Date.parse(grant.notAfter),
    namespaces: compileNamespaces(grant.namespaces),
    rules: compileRules(role.rules),
    allow: { ...by, reason: `allowed by ${suffix}` },
    allowBasics: {
      ...by,
      reason: `discovery and self reviews are open to whoever has access to the cluster, here by ${suffix}`,
    },
  }
}

function isOnCluster({ clusters }: Grant, { id, labels }: Cluster): boolean {
  if (clusters.clusterIds.includes(id)) return true
  return clusters.labels !== undefined && selects(clusters.labels, labels)
}

/** Each once, by name. */
function grantsOf(snapshot: Snapshot, user: User): Grant[] {
  const index = indexOf(snapshot.grants)
  const found = new Set(index.get(`user:${user.id}`))
  for (const groupId of user.groupIds) {
    if (!snapshot.groups.has(groupId)) continue
    for (const grant of index.get(`group:${groupId}`) ?? []) found.add(grant)
  }
  return [...found].toSorted(byName)
}

function byName(a: Grant, b: Grant): number {
  if (a.name !== b.name) return a.name < b.name ? -1 : 1
  return a.id < b.id ? -1 : Number(a.id > b.id)
}

type SubjectIndex = ReadonlyMap<string, readonly Grant[]>

const indices = new WeakMap<ReadonlyMap<string, Grant>, SubjectIndex>()

/** Grants by subject, kept for as long as the snapshot's map of grants lives. */
function indexOf(grants: ReadonlyMap<string, Grant>): SubjectIndex {
  const known = indices.get(grants)
  if (known !== undefined) return known
  const index = new Map<string, Grant[]>()
  for (const grant of grants.values()) {
    for (const { kind, id } of grant.subjects) {
      const key = `${kind}:${id}`
      const list = index.get(key)
      if (list === undefined) index.set(key, [grant])
      else list.push(grant)
    }
  }
  indices.set(grants, index)
  return index
}
