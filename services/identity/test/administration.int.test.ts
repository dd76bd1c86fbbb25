import { PlatformRole, UserKind } from '@postern/proto/postern/identity/events/v1/events'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import {
  type IdentityRpc,
  PASSWORD,
  type RunningIdentity,
  runIdentity,
  setUp,
} from './running-identity.ts'

let identity: RunningIdentity
let rpc: IdentityRpc
let root: { userToken: string }
let alice: { userToken: string }

beforeAll(async () => {
  identity = await runIdentity({ postgresUrl: inject('postgresUrl'), natsUrl: inject('natsUrl') })
  rpc = await identity.as('service/console')
  root = (await setUp(identity, rpc)).as
  await rpc.users.createUser({ name: 'alice', displayName: 'Alice', password: PASSWORD }, root)
  await rpc.users.createUser({ name: 'bob', password: PASSWORD }, root)
  alice = await signIn('alice')
})

afterAll(async () => {
  await identity.stop()
})

const reason = (text: string) => ({ reason: text })
const administrators = PlatformRole.PLATFORM_ROLE_ADMINISTRATOR

async function signIn(userName: string) {
  return { userToken: (await rpc.tokens.login({ userName, password: PASSWORD })).secret }
}

test('a name is taken whatever its case, and by users and groups separately', async () => {
  await expect(rpc.users.createUser({ name: 'ALICE' }, root)).rejects.toMatchObject(
    reason('USER_EXISTS'),
  )
  const { group } = await rpc.groups.createGroup({ name: 'alice' }, root)
  expect(group).toMatchObject({ name: 'alice', members: [] })
  await expect(rpc.groups.createGroup({ name: 'Alice' }, root)).rejects.toMatchObject(
    reason('GROUP_EXISTS'),
  )
})

test('a hundred attempts at one name at the same time make one user', async () => {
  const attempts = Array.from({ length: 100 }, () => rpc.users.createUser({ name: 'racer' }, root))
  const results = await Promise.allSettled(attempts)
  const lost = results
    .filter((each) => each.status === 'rejected')
    .map((each) => each.reason.reason)
  expect(lost).toEqual(Array(99).fill('USER_EXISTS'))
})

test('membership is added once and removed once, however often it is asked', async () => {
  await rpc.groups.createGroup({ name: 'developers' }, root)
  const adding = { group: 'developers', user: 'alice' }
  await Promise.all(Array.from({ length: 10 }, () => rpc.groups.addGroupMember(adding, root)))
  expect((await rpc.groups.getGroup({ group: 'developers' }, root)).group?.members).toEqual([
    'alice',
  ])
  expect((await rpc.users.getUser({ user: 'alice' }, root)).user?.groups).toEqual(['developers'])
  await rpc.groups.removeGroupMember(adding, root)
  await rpc.groups.removeGroupMember(adding, root)
  expect((await rpc.users.getUser({ user: 'alice' }, root)).user?.groups).toEqual([])
  const [{ count } = { count: '' }] = await identity.query<{ count: string }>(
    `select count(*)::text as count from event where type like '%GroupMember%' and stream in
      (select 'group-' || group_id from groups where name = 'developers')`,
  )
  expect(count).toBe('2')
})

test('nobody who does not exist becomes a member', async () => {
  const user = '01900000-0000-7000-8000-0000000000ff'
  await rpc.groups.createGroup({ name: 'ghosts' }, root)
  await expect(rpc.groups.addGroupMember({ group: 'ghosts', user }, root)).rejects.toMatchObject(
    reason('USER_NOT_FOUND'),
  )
  await expect(
    rpc.groups.addGroupMember({ group: 'none', user: 'alice' }, root),
  ).rejects.toMatchObject(reason('GROUP_NOT_FOUND'))
})

test('the last administrator can be neither disabled, deleted nor removed, in any way', async () => {
  // Neither a bot, nor someone without a password, nor someone disabled could administer instead.
  await rpc.users.createUser({ name: 'admin-bot', kind: UserKind.USER_KIND_SERVICE }, root)
  await rpc.users.createUser({ name: 'no-password' }, root)
  await rpc.users.createUser({ name: 'left', password: PASSWORD }, root)
  for (const user of ['admin-bot', 'no-password', 'left']) {
    await rpc.groups.addGroupMember({ group: 'administrators', user }, root)
  }
  await rpc.users.disableUser({ user: 'left' }, root)

  const refused = reason('LAST_ADMINISTRATOR')
  const member = { group: 'administrators', user: 'root' }
  await expect(rpc.users.disableUser({ user: 'root' }, root)).rejects.toMatchObject(refused)
  await expect(rpc.users.deleteUser({ user: 'root' }, root)).rejects.toMatchObject(refused)
  await expect(rpc.groups.removeGroupMember(member, root)).rejects.toMatchObject(refused)
  await expect(rpc.groups.deleteGroup({ group: 'administrators' }, root)).rejects.toMatchObject(
    refused,
  )

  // A second way for the same person is enough to lose one of them, not both.
  await rpc.groups.createGroup({ name: 'admins-too', platformRole: administrators }, root)
  await rpc.groups.addGroupMember({ group: 'admins-too', user: 'root' }, root)
  await rpc.groups.removeGroupMember({ group: 'admins-too', user: 'root' }, root)
  await expect(rpc.groups.removeGroupMember(member, root)).rejects.toMatchObject(refused)
})

test('of two administrators who disable each other at the same time, one stays', async () => {
  await rpc.groups.addGroupMember({ group: 'administrators', user: 'bob' }, root)
  const bob = await signIn('bob')
  for (let round = 0; round < 5; round += 1) {
    const results = await Promise.allSettled([
      rpc.users.disableUser({ user: 'bob' }, root),
      rpc.users.disableUser({ user: 'root' }, bob),
    ])
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    const survivor = results[0]?.status === 'fulfilled' ? root : bob
    const lost = survivor === root ? 'bob' : 'root'
    await rpc.users.enableUser({ user: lost }, survivor)
    if (lost === 'bob') Object.assign(bob, await signIn('bob'))
    else root = await signIn('root')
  }
  await rpc.groups.removeGroupMember({ group: 'administrators', user: 'bob' }, root)
})

test('tokens: one\u2019s own are listed and revoked by oneself, all of them by an administrator', async () => {
  const mine = await rpc.tokens.issueToken({ description: 'laptop' }, alice)
  const theirs = await rpc.tokens.issueToken({ description: 'root\u2019s own' }, root)
  const { tokens } = await rpc.tokens.listTokens({}, alice)
  expect(tokens.map(({ userName }) => userName)).toEqual(['alice', 'alice'])

  for (const user of ['*', 'root', 'nobody']) {
    await expect(rpc.tokens.listTokens({ user }, alice)).rejects.toMatchObject(
      reason('ONLY_YOUR_OWN'),
    )
  }
  await expect(rpc.tokens.issueToken({ user: 'root' }, alice)).rejects.toMatchObject(
    reason('ONLY_YOUR_OWN'),
  )
  const others = { tokenId: theirs.token?.id ?? '' }
  await expect(rpc.tokens.revokeToken(others, alice)).rejects.toMatchObject(
    reason('TOKEN_NOT_FOUND'),
  )

  const own = { tokenId: mine.token?.id ?? '', reason: 'lost' }
  await rpc.tokens.revokeToken(own, alice)
  await rpc.tokens.revokeToken(own, alice)
  await expect(rpc.tokens.whoAmI({}, { userToken: mine.secret })).rejects.toMatchObject({
    code: 16,
  })
  const all = await rpc.tokens.listTokens({ user: '*' }, root)
  const owners = all.tokens.map(({ userName }) => userName)
  expect(owners).toEqual(expect.arrayContaining(['alice', 'root']))
})

test('a token that was made with a token does not outlive it', async () => {
  const lifetime = { seconds: 600n, nanos: 0 }
  const short = await rpc.tokens.login({ userName: 'alice', password: PASSWORD, lifetime })
  const child = await rpc.tokens.issueToken({}, { userToken: short.secret })
  expect(child.token?.expiresAt).toBe(short.token?.expiresAt)
})

test('a revoked token cannot make another one', async () => {
  const short = await rpc.tokens.login({ userName: 'alice', password: PASSWORD })
  const as = { userToken: short.secret }
  await rpc.tokens.whoAmI({}, as)
  await rpc.tokens.revokeToken({ tokenId: short.token?.id ?? '' }, root)
  await expect(rpc.tokens.issueToken({}, as)).rejects.toMatchObject({ code: 16 })
})

test('tokens of a service identity come from an administrator only', async () => {
  await rpc.users.createUser({ name: 'ci', kind: UserKind.USER_KIND_SERVICE }, root)
  await expect(
    rpc.users.createUser(
      { name: 'ci2', kind: UserKind.USER_KIND_SERVICE, password: PASSWORD },
      root,
    ),
  ).rejects.toMatchObject(reason('SERVICE_HAS_NO_PASSWORD'))
  const { secret } = await rpc.tokens.issueToken({ user: 'ci' }, root)
  const ci = { userToken: secret }
  expect(await rpc.tokens.whoAmI({}, ci)).toMatchObject({ userName: 'ci' })
  await expect(rpc.tokens.issueToken({}, ci)).rejects.toMatchObject(
    reason('SERVICE_TOKENS_BY_ADMINISTRATORS'),
  )
  await expect(
    rpc.users.setPassword({ user: 'ci', newPassword: PASSWORD }, root),
  ).rejects.toMatchObject(reason('SERVICE_HAS_NO_PASSWORD'))
})

test('without permission users see themselves and do not learn who else there is', async () => {
  expect((await rpc.users.getUser({ user: 'Alice' }, alice)).user).toMatchObject({ name: 'alice' })
  for (const user of ['root', 'nobody', '01900000-0000-7000-8000-0000000000ff']) {
    await expect(rpc.users.getUser({ user }, alice)).rejects.toMatchObject(reason('ONLY_YOUR_OWN'))
    await expect(
      rpc.users.setPassword({ user, newPassword: PASSWORD }, alice),
    ).rejects.toMatchObject(reason('ONLY_YOUR_OWN'))
  }
})

test('an auditor sees everything and changes nothing', async () => {
  const auditors = { name: 'auditors', platformRole: PlatformRole.PLATFORM_ROLE_AUDITOR }
  await rpc.groups.createGroup(auditors, root)
  await rpc.users.createUser({ name: 'audrey', password: PASSWORD }, root)
  await rpc.groups.addGroupMember({ group: 'auditors', user: 'audrey' }, root)
  const audrey = await signIn('audrey')
  expect((await rpc.users.listUsers({}, audrey)).users.length).toBeGreaterThan(3)
  expect((await rpc.users.getUser({ user: 'root' }, audrey)).user?.name).toBe('root')
  expect((await rpc.tokens.listTokens({ user: '*' }, audrey)).tokens.length).toBeGreaterThan(0)
  await expect(rpc.users.disableUser({ user: 'alice' }, audrey)).rejects.toMatchObject({ code: 7 })
  await expect(rpc.tokens.issueToken({ user: 'alice' }, audrey)).rejects.toMatchObject({ code: 7 })
})

test('lists come in pages, complete and in order, and a made-up page token is refused', async () => {
  const names: string[] = []
  let pageToken = ''
  do {
    const page = await rpc.users.listUsers({ pageSize: 2, pageToken }, root)
    expect(page.users.length).toBeLessThanOrEqual(2)
    names.push(...page.users.map(({ name }) => name))
    pageToken = page.nextPageToken
  } while (pageToken !== '')
  const all = (await rpc.users.listUsers({ pageSize: 1000 }, root)).users.map(({ name }) => name)
  expect(names).toEqual(all)
  expect(new Set(names).size).toBe(names.length)
  await expect(rpc.users.listUsers({ pageToken: '!' }, root)).rejects.toMatchObject(
    reason('INVALID_PAGE_TOKEN'),
  )
  await expect(rpc.users.listUsers({ pageSize: 1001 }, root)).rejects.toMatchObject(
    reason('INVALID_PAGE_SIZE'),
  )
})

test('wrong input is refused and changes nothing', async () => {
  const head = async () => (await identity.query<{ pos: bigint }>('select pos from head'))[0]?.pos
  const before = await head()
  const attempts = [
    () => rpc.users.createUser({ name: 'a b' }, root),
    () => rpc.users.createUser({ name: 'x', displayName: 'a\nb' }, root),
    () => rpc.users.createUser({ name: 'x', password: 'short' }, root),
    () => rpc.users.disableUser({ user: 'alice', reason: 'x'.repeat(501) }, root),
    () => rpc.users.disableUser({ user: '' }, root),
    () => rpc.groups.createGroup({ name: '..' }, root),
    () => rpc.tokens.revokeToken({ tokenId: 'x' }, root),
    () => rpc.tokens.revokeToken({ tokenId: '01900000-0000-7000-8000-0000000000ff' }, root),
    () => rpc.tokens.issueToken({ lifetime: { seconds: -1n, nanos: 0 } }, root),
    () => rpc.tokens.issueToken({ description: '\u0000' }, root),
  ]
  for (const attempt of attempts) {
    await expect(attempt()).rejects.toMatchObject({ reason: expect.stringMatching(/^[A-Z_]+$/) })
  }
  expect(await head()).toBe(before)
})
