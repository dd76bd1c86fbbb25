import { sha256 } from '@postern/pki'
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

beforeAll(async () => {
  identity = await runIdentity({ postgresUrl: inject('postgresUrl'), natsUrl: inject('natsUrl') })
  rpc = await identity.as('service/console')
})

afterAll(async () => {
  await identity.stop()
})

const reason = (text: string) => ({ reason: text })

async function createPerson(name: string) {
  const { user } = await rpc.users.createUser({ name, password: PASSWORD }, root)
  const { secret, token } = await rpc.tokens.login({ userName: name, password: PASSWORD })
  return { id: user?.id ?? '', tokenId: token?.id ?? '', secret, as: { userToken: secret } }
}

async function authenticate(secret: string) {
  const policy = await identity.as('service/policy')
  return await policy.tokens.authenticateToken({ tokenSha256: sha256(secret) })
}

test('set-up makes one administrator with the token that was handed out, once', async () => {
  expect(identity.setupTokens).toHaveLength(1)
  const [setupToken = ''] = identity.setupTokens
  expect(setupToken).toMatch(/^psu_[A-Za-z0-9_-]{43}$/)

  const wrong = { setupToken: `${setupToken.slice(0, -1)}!`, userName: 'root', password: PASSWORD }
  await expect(rpc.tokens.setUp(wrong)).rejects.toMatchObject(reason('SETUP_TOKEN_WRONG'))
  await expect(
    rpc.tokens.setUp({ setupToken, userName: 'root', password: 'short' }),
  ).rejects.toMatchObject(reason('INVALID_PASSWORD'))

  // A start at which set-up is still open hands out a new token; the old one is void.
  await identity.restart()
  rpc = await identity.as('service/console')
  expect(identity.setupTokens).toHaveLength(2)
  await expect(
    rpc.tokens.setUp({ setupToken, userName: 'root', password: PASSWORD }),
  ).rejects.toMatchObject(reason('SETUP_TOKEN_WRONG'))

  root = (await setUp(identity, rpc)).as
  expect(await rpc.tokens.whoAmI({}, root)).toMatchObject({
    userName: 'root',
    groups: ['administrators'],
    platformRole: PlatformRole.PLATFORM_ROLE_ADMINISTRATOR,
  })
  await expect(setUp(identity, rpc)).rejects.toMatchObject(reason('SETUP_COMPLETED'))

  await identity.restart()
  rpc = await identity.as('service/console')
  expect(identity.setupTokens).toHaveLength(2)
  expect(await rpc.tokens.whoAmI({}, root)).toMatchObject({ userName: 'root' })
})

test('a right name and password give a token that works for at most twelve hours', async () => {
  const alice = await createPerson('alice')
  expect(alice.secret).toMatch(/^ptk_[A-Za-z0-9_-]{43}$/)
  expect(await authenticate(alice.secret)).toMatchObject({ userId: alice.id, userName: 'alice' })

  const tooLong = { seconds: 12n * 3600n + 1n, nanos: 0 }
  await expect(
    rpc.tokens.login({ userName: 'alice', password: PASSWORD, lifetime: tooLong }),
  ).rejects.toMatchObject(reason('TOKEN_LIFETIME_OUT_OF_RANGE'))

  identity.setClock(() => new Date(Date.now() + 12 * 3600 * 1000 + 1000))
  await expect(authenticate(alice.secret)).rejects.toMatchObject(reason('NOT_SIGNED_IN'))
  identity.setClock(() => new Date())
})

test.each([
  { name: 'a wrong password', userName: 'bob', password: 'wrong horse battery' },
  { name: 'an unknown name', userName: 'nobody', password: PASSWORD },
  { name: 'a service identity', userName: 'ci', password: '' },
  { name: 'a disabled user', userName: 'carol', password: PASSWORD },
  { name: 'an id instead of a name', userName: 'id of bob', password: PASSWORD },
])('signing in with $name is the same refusal', async ({ userName, password }) => {
  const { users } = rpc
  await users.createUser({ name: 'bob', password: PASSWORD }, root).catch(() => undefined)
  await users
    .createUser({ name: 'ci', kind: UserKind.USER_KIND_SERVICE }, root)
    .catch(() => undefined)
  await users.createUser({ name: 'carol', password: PASSWORD }, root).catch(() => undefined)
  await users.disableUser({ user: 'carol', reason: 'left' }, root)
  const bob = (await users.getUser({ user: 'bob' }, root)).user?.id ?? ''
  const asked = { userName: userName === 'id of bob' ? bob : userName, password }
  await expect(rpc.tokens.login(asked)).rejects.toMatchObject({
    reason: 'SIGN_IN_REFUSED',
    details: 'the name or the password is wrong',
  })
})

test('guessing is stopped, also when the guesses come at the same time', async () => {
  await createPerson('erin')
  const guesses = Array.from({ length: 15 }, (_, index) =>
    rpc.tokens.login({ userName: 'erin', password: `guess number ${index}` }),
  )
  const reasons = (await Promise.allSettled(guesses)).map((guess) =>
    guess.status === 'rejected' ? guess.reason.reason : 'let in',
  )
  expect(reasons.filter((each) => each === 'SIGN_IN_REFUSED')).toHaveLength(10)
  expect(reasons.filter((each) => each === 'TOO_MANY_ATTEMPTS')).toHaveLength(5)
  await expect(rpc.tokens.login({ userName: 'erin', password: PASSWORD })).rejects.toMatchObject(
    reason('TOO_MANY_ATTEMPTS'),
  )
})

test('logging out ends the token', async () => {
  const frank = await createPerson('frank')
  await rpc.tokens.logout({}, frank.as)
  await expect(authenticate(frank.secret)).rejects.toMatchObject(reason('NOT_SIGNED_IN'))
})

test('disabling ends every token; enabling does not bring them back', async () => {
  const grace = await createPerson('grace')
  await rpc.users.disableUser({ user: 'grace', reason: 'left' }, root)
  await rpc.users.disableUser({ user: 'grace', reason: 'left' }, root)
  await expect(authenticate(grace.secret)).rejects.toMatchObject(reason('NOT_SIGNED_IN'))
  await expect(rpc.tokens.issueToken({ user: 'grace' }, root)).rejects.toMatchObject(
    reason('USER_DISABLED'),
  )
  await rpc.users.enableUser({ user: 'grace' }, root)
  await expect(authenticate(grace.secret)).rejects.toMatchObject(reason('NOT_SIGNED_IN'))
  expect(await rpc.tokens.login({ userName: 'grace', password: PASSWORD })).toBeDefined()
})

test('deleting ends everything for good and frees the name', async () => {
  const henry = await createPerson('henry')
  await rpc.users.deleteUser({ user: 'henry' }, root)
  await rpc.users.deleteUser({ user: henry.id }, root)
  await expect(authenticate(henry.secret)).rejects.toMatchObject(reason('NOT_SIGNED_IN'))
  await expect(rpc.tokens.login({ userName: 'henry', password: PASSWORD })).rejects.toMatchObject(
    reason('SIGN_IN_REFUSED'),
  )
  const again = await createPerson('HENRY')
  expect(again.id).not.toBe(henry.id)
})

test('a new password needs the old one, ends every token, and is the only one that works', async () => {
  const iris = await createPerson('iris')
  const newPassword = 'another horse battery'
  await expect(
    rpc.users.setPassword({ user: 'iris', oldPassword: 'wrong', newPassword }, iris.as),
  ).rejects.toMatchObject(reason('OLD_PASSWORD_WRONG'))
  expect(await authenticate(iris.secret)).toMatchObject({ userName: 'iris' })

  await rpc.users.setPassword({ user: 'iris', oldPassword: PASSWORD, newPassword }, iris.as)
  await expect(authenticate(iris.secret)).rejects.toMatchObject(reason('NOT_SIGNED_IN'))
  await expect(rpc.tokens.login({ userName: 'iris', password: PASSWORD })).rejects.toMatchObject(
    reason('SIGN_IN_REFUSED'),
  )
  expect(await rpc.tokens.login({ userName: 'Iris', password: newPassword })).toBeDefined()
})

test('an administrator sets the password of others without the old one, but not his own', async () => {
  const jack = await createPerson('jack')
  await rpc.users.setPassword({ user: 'jack', newPassword: 'another horse battery' }, root)
  await expect(authenticate(jack.secret)).rejects.toMatchObject(reason('NOT_SIGNED_IN'))
  await expect(
    rpc.users.setPassword({ user: 'root', newPassword: 'another horse battery' }, root),
  ).rejects.toMatchObject(reason('OLD_PASSWORD_WRONG'))
})

test('nothing secret is in the log of events, in the log, or stored in clear', async () => {
  const { secret } = await createPerson('kate')
  const secrets = [PASSWORD, secret, ...identity.setupTokens]
  const events = await identity.query<{ data: Buffer }>('select data from event')
  const rows = await identity.query<{ row: string }>(`
    select credentials::text as row from credentials
    union all select tokens::text from tokens
    union all select users::text from users`)
  expect(rows.length).toBeGreaterThan(5)
  for (const each of secrets) {
    expect(identity.logged()).not.toContain(each)
    expect(events.some(({ data }) => data.includes(each))).toBe(false)
    expect(rows.some(({ row }) => row.includes(each))).toBe(false)
  }
  const hashes = await identity.query<{ password_hash: string }>('select * from credentials')
  for (const { password_hash } of hashes) expect(password_hash).toMatch(/^\$argon2id\$/)
  expect(events.some(({ data }) => data.includes('argon2'))).toBe(false)
})

test('the directory can be dropped and rebuilt; passwords survive', async () => {
  expect(await identity.rebuild()).toBe(true)
  expect(await rpc.tokens.login({ userName: 'kate', password: PASSWORD })).toBeDefined()
})
