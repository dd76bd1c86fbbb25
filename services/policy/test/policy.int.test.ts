import { openDoors, sweepRpcs } from '@postern/rpc/testing'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { type RunningPolicy, runPolicy } from './running-policy.ts'

let policy: RunningPolicy
let root: { userToken: string }
let alice: { userToken: string }
let auditor: { userToken: string }
let aliceId: string
let devCluster: string

beforeAll(async () => {
  policy = await runPolicy({ postgresUrl: inject('postgresUrl') })
  const { others } = policy
  root = (await others.createUser('root', 'administrator')).as
  auditor = (await others.createUser('audrey', 'auditor')).as
  const user = await others.createUser('alice')
  alice = user.as
  aliceId = user.userId
  await others.createGroup('developers', [aliceId])
  devCluster = await others.registerCluster('dev', { env: 'dev' })
})

afterAll(async () => {
  await policy.stop()
})

const reason = (text: string) => ({ reason: text })
const rule = {
  verbs: ['get', 'list'],
  apiGroups: [''],
  resources: ['pods'],
  resourceNames: [],
  nonResourceUrls: [],
}
const terms = (role: string) => ({
  subjects: ['group:developers'],
  role,
  clusters: [],
  clusterSelector: { matchLabels: { env: 'dev' }, matchExpressions: [] },
  namespaces: { all: false, names: ['team-*'] },
})
const question = {
  cluster: 'dev',
  verb: 'list',
  resource: 'pods',
  namespace: 'team-a',
}

test('a grant gives what it says, at once, until it is revoked', async () => {
  await policy.roles.createRole({ name: 'viewer', rules: [rule] }, root)
  const denied = await policy.grants.explain(question, alice)
  expect(denied).toMatchObject({ allowed: false })

  const { grant } = await policy.grants.createGrant({ name: 'devs', terms: terms('viewer') }, root)
  expect(grant).toMatchObject({ name: 'devs', terms: { ...terms('viewer'), role: 'viewer' } })
  expect(await policy.grants.explain(question, alice)).toMatchObject({
    allowed: true,
    grantName: 'devs',
    roleName: 'viewer',
  })

  // A role that is changed holds at once for every grant of it.
  await policy.roles.changeRole({ role: 'viewer', rules: [{ ...rule, verbs: ['get'] }] }, root)
  expect(await policy.grants.explain(question, alice)).toMatchObject({ allowed: false })
  await policy.roles.changeRole({ role: 'viewer', rules: [rule] }, root)
  expect(await policy.grants.explain(question, alice)).toMatchObject({ allowed: true })

  await policy.grants.revokeGrant({ grant: 'devs', reason: 'left' }, root)
  await policy.grants.revokeGrant({ grant: 'devs', reason: 'again' }, root)
  await policy.grants.revokeGrant({ grant: grant?.id ?? '', reason: 'again' }, root)
  expect(await policy.grants.explain(question, alice)).toMatchObject({ allowed: false })
  await expect(policy.grants.getGrant({ grant: 'devs' }, root)).rejects.toMatchObject(
    reason('GRANT_NOT_FOUND'),
  )
  await expect(
    policy.grants.changeGrant({ grant: 'devs', terms: terms('viewer') }, root),
  ).rejects.toMatchObject(reason('GRANT_REVOKED'))
})

test('a revoked grant frees its name', async () => {
  await policy.roles.createRole({ name: 'renewed', rules: [rule] }, root)
  const created = { name: 'again', terms: terms('renewed') }
  const first = await policy.grants.createGrant(created, root)
  await expect(policy.grants.createGrant(created, root)).rejects.toMatchObject(
    reason('GRANT_EXISTS'),
  )
  await policy.grants.revokeGrant({ grant: 'again' }, root)
  const second = await policy.grants.createGrant(created, root)
  expect(second.grant?.id).not.toBe(first.grant?.id)
  expect((await policy.grants.getGrant({ grant: 'again' }, root)).grant?.id).toBe(second.grant?.id)
  await policy.grants.revokeGrant({ grant: 'again' }, root)
})

test('a grant is shown by the names that its subjects, role and clusters have', async () => {
  await policy.roles.createRole({ name: 'named', rules: [rule] }, root)
  const byIds = {
    ...terms('named'),
    subjects: [`user:${aliceId}`],
    clusters: [devCluster],
    clusterSelector: undefined,
  }
  await policy.grants.createGrant({ name: 'by-ids', terms: byIds }, root)
  const { grant } = await policy.grants.getGrant({ grant: 'by-ids' }, auditor)
  expect(grant?.terms).toMatchObject({ subjects: ['user:alice'], role: 'named', clusters: ['dev'] })

  // What is shown can be applied again, and changes nothing.
  const shown = { grant: 'by-ids', terms: grant?.terms }
  const before = await policy.grants.listGrants({}, root)
  await policy.grants.changeGrant(shown, root)
  expect(await policy.grants.listGrants({}, root)).toEqual(before)
})

test.each([
  ['a user', { subjects: ['user:nobody'] }, 'USER_NOT_FOUND', 'there is no user "nobody"'],
  ['a group', { subjects: ['group:none'] }, 'GROUP_NOT_FOUND', 'there is no group "none"'],
  ['a cluster', { clusters: ['mars'] }, 'CLUSTER_NOT_FOUND', 'there is no cluster "mars"'],
  ['a role', { role: 'none' }, 'ROLE_NOT_FOUND', 'there is no such role'],
])('a grant that names %s that does not exist says which', async (_name, part, code, details) => {
  await policy.roles.createRole({ name: 'exists', rules: [rule] }, root).catch(() => undefined)
  await expect(
    policy.grants.createGrant({ name: 'wrong', terms: { ...terms('exists'), ...part } }, root),
  ).rejects.toMatchObject({ reason: code, details })
})

test.each([
  ['no terms', undefined, 'TERMS_MISSING'],
  ['a subject of no kind', { subjects: ['alice'] }, 'INVALID_SUBJECT'],
  ['a subject of another kind', { subjects: ['cluster:dev'] }, 'INVALID_SUBJECT'],
  ['one subject twice', { subjects: ['user:alice', 'user:ALICE'] }, 'SUBJECTS_COUNT'],
  ['no namespaces', { namespaces: undefined }, 'NAMESPACES_MISSING'],
  ['no clusters', { clusterSelector: undefined }, 'CLUSTERS_MISSING'],
  ['an end in the past', { notAfter: '2020-01-01T00:00:00Z' }, 'ENDS_IN_PAST'],
])('a grant with %s is refused', async (_name, part, code) => {
  await policy.roles.createRole({ name: 'exists', rules: [rule] }, root).catch(() => undefined)
  const wrong = part === undefined ? undefined : { ...terms('exists'), ...part }
  await expect(
    policy.grants.createGrant({ name: 'wrong', terms: wrong }, root),
  ).rejects.toMatchObject(reason(code))
})

test('someone created a moment ago can be granted something at once', async () => {
  await policy.roles.createRole({ name: 'fresh', rules: [rule] }, root)
  for (let round = 0; round < 5; round += 1) {
    const name = `newcomer-${round}`
    await policy.others.createUser(name)
    const fresh = { ...terms('fresh'), subjects: [`user:${name}`] }
    const { grant } = await policy.grants.createGrant({ name, terms: fresh }, root)
    expect(grant?.terms?.subjects).toEqual([`user:${name}`])
  }
})

test('a role in use cannot be deleted; once it is free it can, twice', async () => {
  const { role } = await policy.roles.createRole({ name: 'used', rules: [rule] }, root)
  await policy.grants.createGrant({ name: 'uses-it', terms: terms('used') }, root)
  await expect(policy.roles.deleteRole({ role: 'used' }, root)).rejects.toMatchObject(
    reason('ROLE_IN_USE'),
  )
  await policy.grants.revokeGrant({ grant: 'uses-it' }, root)
  await policy.roles.deleteRole({ role: 'used' }, root)
  await policy.roles.deleteRole({ role: role?.id ?? '' }, root)
  await expect(policy.roles.getRole({ role: 'used' }, root)).rejects.toMatchObject(
    reason('ROLE_NOT_FOUND'),
  )
})

test('of a deletion of a role and a grant of it at the same time, one succeeds', async () => {
  for (let round = 0; round < 8; round += 1) {
    const name = `raced-${round}`
    await policy.roles.createRole({ name, rules: [rule] }, root)
    const results = await Promise.allSettled([
      policy.roles.deleteRole({ role: name }, root),
      policy.grants.createGrant({ name, terms: terms(name) }, root),
    ])
    const lost = results.filter((each) => each.status === 'rejected')
    expect(lost).toHaveLength(1)
    expect(['ROLE_IN_USE', 'ROLE_NOT_FOUND']).toContain(lost[0]?.reason.reason)
  }
})

test('explain answers others only for who may ask', async () => {
  const asked = { ...question, user: 'alice' }
  expect(await policy.grants.explain(asked, alice)).toBeDefined()
  expect(await policy.grants.explain(asked, auditor)).toBeDefined()
  const other = { ...question, user: 'root' }
  await expect(policy.grants.explain(other, alice)).rejects.toMatchObject(reason('ONLY_YOUR_OWN'))
})

test('lists come in pages, complete and in order', async () => {
  const names: string[] = []
  let pageToken = ''
  do {
    const page = await policy.roles.listRoles({ pageSize: 3, pageToken }, auditor)
    names.push(...page.roles.map(({ name }) => name))
    pageToken = page.nextPageToken
  } while (pageToken !== '')
  const all = (await policy.roles.listRoles({ pageSize: 1000 }, root)).roles
  expect(names).toEqual(all.map(({ name }) => name))
})

test('every RPC refuses nobody, wrong parts, and users without the permission', async () => {
  const answers = await sweepRpcs({
    address: policy.address,
    trustDomain: policy.authority.trustDomain,
    serverPath: 'service/policy',
    registrations: [
      'postern.policy.v1.RoleService',
      'postern.policy.v1.GrantService',
      'postern.eventlog.v1.EventLogService',
    ],
    identityOf: async (path) => await policy.authority.identity(path),
    unprivilegedToken: alice.userToken,
  })
  expect(openDoors(answers)).toEqual([])
  expect(new Set(answers.map(({ rpc }) => rpc)).size).toBe(16)
})

test('roles and grants can be dropped and rebuilt', async () => {
  expect(await policy.rebuild()).toBe(true)
})
