import { createHash } from 'node:crypto'
import type { Cluster, Grant, Group, Role, Snapshot, User } from '@postern/access'
import {
  BENCH_CLUSTER,
  labelsOfCluster,
  type Population,
  rulesOfRole,
  termsOfGrant,
} from '../stacks/population.ts'

type KnownToken = { readonly tokenId: string; readonly userId: string; readonly expiresAt: string }

/** What a gateway has in memory of those users, roles, grants and clusters; ids are names. */
export type Known = {
  readonly snapshot: Snapshot
  /** By their SHA-256. */
  readonly tokens: ReadonlyMap<string, KnownToken>
  /** Each user's own. */
  readonly secrets: readonly string[]
}

export function knownOf(of: Population, expiresAt: string): Known {
  const users = each(of.users, (n): User => {
    const groupIds = [`group-${n % of.groups}`]
    return { id: `user-${n}`, name: `user-${n}`, disabled: false, groupIds }
  })
  const secrets = users.map(
    ({ id }) => `ptk_${createHash('sha256').update(id).digest('base64url')}`,
  )
  const tokens = users.map(({ id: userId }, n) => {
    const sha256 = createHash('sha256')
      .update(secrets[n] ?? '')
      .digest('hex')
    return [sha256, { tokenId: `token-${n}`, userId, expiresAt }] as const
  })
  const clusters = each(of.clusters - 1, (n) => clusterOf(`cluster-${n}`, labelsOfCluster(n)))
  const snapshot = {
    users: byId(users),
    groups: byId(each(of.groups, (n): Group => ({ id: `group-${n}`, name: `group-${n}` }))),
    roles: byId(each(of.roles, roleOf)),
    grants: byId(each(of.grants, (n) => grantOf(n, of))),
    clusters: byId([...clusters, clusterOf(BENCH_CLUSTER.name, BENCH_CLUSTER.labels)]),
  }
  return { snapshot, tokens: new Map(tokens), secrets }
}

function clusterOf(name: string, labels: Cluster['labels']): Cluster {
  return { id: name, name, labels, installLevel: 'edit', namespaces: new Map([['bench', {}]]) }
}

function roleOf(n: number): Role {
  const rules = rulesOfRole(n).map((rule) => ({ resourceNames: [], nonResourceUrls: [], ...rule }))
  return { id: `role-${n}`, name: `role-${n}`, rules }
}

function grantOf(n: number, of: Population): Grant {
  const { subjects, role, clusters = [], clusterSelector, namespaces } = termsOfGrant(n, of)
  return {
    id: `grant-${n}`,
    name: `grant-${n}`,
    subjects: subjects.map((subject) => {
      const [kind = '', id = ''] = subject.split(':')
      return { kind, id }
    }),
    roleId: role,
    clusters: {
      clusterIds: clusters,
      ...(clusterSelector === undefined
        ? {}
        : { labels: { ...clusterSelector, matchExpressions: [] } }),
    },
    namespaces: { all: namespaces.all ?? false, names: namespaces.names ?? [] },
  }
}

function each<T>(count: number, make: (n: number) => T): T[] {
  return Array.from({ length: count }, (_, n) => make(n))
}

function byId<T extends { id: string }>(things: readonly T[]): Map<string, T> {
  return new Map(things.map((one) => [one.id, one]))
}
