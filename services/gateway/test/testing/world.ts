import { createHash } from 'node:crypto'
import type { Cluster, Grant, PolicyRule, Role, Snapshot, User } from '@postern/access'

export const TOKEN = `ptk_${'a'.repeat(43)}`
export const OTHER_TOKEN = `ptk_${'b'.repeat(43)}`
/** Nobody has it, until it is made. */
export const NEW_TOKEN = `ptk_${'n'.repeat(43)}`
const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')

/** Alice may do everything in namespace "team" of cluster "demo", and read pods everywhere. */
export function createWorld() {
  const tokens = new Map<string, { tokenId: string; userId: string; expiresAt: string }>()
  const users = new Map<string, User>()
  const roles = new Map<string, Role>()
  const grants = new Map<string, Grant>()
  const clusters = new Map<string, Cluster>()
  const expiresAt = new Date(Date.now() + 3_600_000).toISOString()
  const world = {
    tokens,
    snapshot: EMPTY,
    change(edit: () => void) {
      edit()
      world.snapshot = {
        users: new Map(users),
        groups: new Map([['g-dev', { id: 'g-dev', name: 'developers' }]]),
        roles: new Map(roles),
        grants: new Map(grants),
        clusters: new Map(clusters),
      }
    },
    users,
    roles,
    grants,
    clusters,
    grant(
      id: string,
      rules: readonly Partial<PolicyRule>[],
      namespaces: readonly string[] | 'all',
    ) {
      world.change(() => {
        roles.set(`role-${id}`, { id: `role-${id}`, name: `role-${id}`, rules: rules.map(whole) })
        grants.set(id, {
          id,
          name: id,
          subjects: [{ kind: 'group', id: 'g-dev' }],
          roleId: `role-${id}`,
          clusters: { clusterIds: ['c-demo'] },
          namespaces: { all: namespaces === 'all', names: namespaces === 'all' ? [] : namespaces },
        })
      })
    },
    makeToken(token: string, userId: string) {
      tokens.set(sha256(token), { tokenId: `t-${userId}-new`, userId, expiresAt })
    },
    revoke(id: string) {
      world.change(() => grants.delete(id))
    },
  }
  tokens.set(sha256(TOKEN), { tokenId: 't-alice', userId: 'u-alice', expiresAt })
  tokens.set(sha256(OTHER_TOKEN), { tokenId: 't-bob', userId: 'u-bob', expiresAt })
  world.change(() => {
    users.set('u-alice', { id: 'u-alice', name: 'alice', disabled: false, groupIds: ['g-dev'] })
    users.set('u-bob', { id: 'u-bob', name: 'bob', disabled: false, groupIds: [] })
    const cluster = { labels: {}, installLevel: 'edit', namespaces: new Map() } as const
    clusters.set('c-demo', { id: 'c-demo', name: 'demo', ...cluster })
  })
  world.grant('everything', [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'] }], ['team'])
  world.grant(
    'readers',
    [{ verbs: ['get', 'list', 'watch'], apiGroups: [''], resources: ['pods'] }],
    'all',
  )
  return world
}

const EMPTY: Snapshot = {
  users: new Map(),
  groups: new Map(),
  roles: new Map(),
  grants: new Map(),
  clusters: new Map(),
}

function whole(rule: Partial<PolicyRule>): PolicyRule {
  return {
    verbs: [],
    apiGroups: [],
    resources: [],
    resourceNames: [],
    nonResourceUrls: [],
    ...rule,
  }
}
