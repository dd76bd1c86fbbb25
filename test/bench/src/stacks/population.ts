import type { ApiClient } from '@postern/bootstrap'

/** How much there is to decide about. */
export type Population = {
  readonly users: number
  readonly groups: number
  readonly clusters: number
  readonly roles: number
  readonly grants: number
}

export const POPULATION: Population = {
  users: 400,
  groups: 40,
  clusters: 90,
  roles: 50,
  grants: 200,
}

/** To see quickly whether something works. */
export const FEW: Population = { users: 40, groups: 8, clusters: 9, roles: 5, grants: 20 }

/** So many of the users put the load on. */
export const USERS_WITH_TOKENS = 32
const AT_ONCE = 8

/** The cluster that the load goes to. */
export const BENCH_CLUSTER = { name: 'bench', labels: { env: 'bench', region: 'r0' } }

type Rule = {
  readonly verbs: readonly string[]
  readonly apiGroups: readonly string[]
  readonly resources: readonly string[]
  readonly resourceNames?: readonly string[]
}

type Terms = {
  readonly subjects: readonly string[]
  readonly role: string
  readonly clusters?: readonly string[]
  readonly clusterSelector?: { readonly matchLabels: Readonly<Record<string, string>> }
  readonly namespaces: { readonly all?: boolean; readonly names?: readonly string[] }
}

const BENCH_RULES: readonly Rule[] = [
  { verbs: ['get', 'list', 'watch'], apiGroups: [''], resources: ['pods', 'configmaps', 'events'] },
  { verbs: ['get', 'create'], apiGroups: [''], resources: ['pods/exec'] },
]

/**
 * Makes them all through the public API, and answers tokens of users who may do what the benchmark
 * does. Every user has grants on other clusters too, by name and by label.
 */
export async function populate(api: ApiClient, of: Population): Promise<string[]> {
  const post = (path: string, body: object) => api.call('POST', path, body)
  await many(of.groups, (n) => post('/v1/groups', { name: `group-${n}` }))
  await many(of.users, (n) => post('/v1/users', { name: `user-${n}`, displayName: `User ${n}` }))
  await many(of.users, (n) =>
    post(`/v1/groups/group-${n % of.groups}/members`, { user: `user-${n}` }),
  )
  await many(of.clusters - 1, (n) =>
    post('/v1/clusters', {
      name: `cluster-${n}`,
      labels: labelsOfCluster(n),
      installLevel: 'INSTALL_LEVEL_EDIT',
    }),
  )
  await many(of.roles, (n) => post('/v1/roles', { name: `role-${n}`, rules: rulesOfRole(n) }))
  await many(of.grants, (n) =>
    post('/v1/grants', { name: `grant-${n}`, terms: termsOfGrant(n, of) }),
  )
  return await tokensFor(api, USERS_WITH_TOKENS)
}

/** A token of each of the first users. */
export async function tokensFor(api: ApiClient, users: number): Promise<string[]> {
  return await many(users, async (n) => {
    const order = { user: `user-${n}`, description: 'benchmark' }
    return String((await api.call('POST', '/v1/tokens', order))['secret'])
  })
}

export function labelsOfCluster(n: number): Readonly<Record<string, string>> {
  return { env: ['dev', 'test', 'prod'][n % 3] ?? '', region: `r${n % 10}`, fleet: 'bench' }
}

export function rulesOfRole(n: number): readonly Rule[] {
  if (n === 0) return BENCH_RULES
  return [
    { verbs: ['get', 'list', 'watch'], apiGroups: ['', 'apps'], resources: ['*'] },
    {
      verbs: ['create', 'update', 'patch'],
      apiGroups: [`group-${n}.example`],
      resources: ['things'],
    },
    { verbs: ['get'], apiGroups: [''], resources: ['pods/log'], resourceNames: [`pod-${n}`] },
  ]
}

/** The first grants are those of the benchmark, one for each group; the others lie beside its way. */
export function termsOfGrant(n: number, of: Population): Terms {
  const subjects = [`group:group-${n % of.groups}`]
  if (n < of.groups) {
    const clusterSelector = { matchLabels: { env: BENCH_CLUSTER.labels.env } }
    return { subjects, role: 'role-0', clusterSelector, namespaces: { names: ['bench'] } }
  }
  const role = `role-${1 + (n % (of.roles - 1))}`
  if (n % 2 === 0) {
    return {
      subjects,
      role,
      clusters: [`cluster-${n % (of.clusters - 1)}`],
      namespaces: { all: true },
    }
  }
  const clusterSelector = { matchLabels: { region: `r${n % 10}` } }
  return { subjects, role, clusterSelector, namespaces: { all: true } }
}

async function many<T>(count: number, make: (n: number) => Promise<T>): Promise<T[]> {
  const made: T[] = []
  let next = 0
  const worker = async () => {
    while (next < count) {
      const n = next++
      made[n] = await make(n)
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
  return made
}
