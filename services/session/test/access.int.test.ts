import { openDoors, sweepRpcs } from '@postern/rpc/testing'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { type RunningSession, runSession, VIEW_PODS } from './running-session.ts'
import { setTheScene } from './scene.ts'

let session: RunningSession
let viewer: string
let root: { userToken: string }
let auditor: { userToken: string }

beforeAll(async () => {
  session = await runSession({ postgresUrl: inject('postgresUrl') })
  viewer = await session.createRole('viewer', [VIEW_PODS])
  root = (await session.createUser('root', 'administrator')).as
  auditor = (await session.createUser('audrey', 'auditor')).as
})

afterAll(async () => {
  await session.stop()
})

const scene = async (name: string) => {
  const here = await setTheScene(session, { name, roleId: viewer })
  const { id } = await here.use()
  await here.agent.stop()
  return { ...here, id }
}

test('every RPC refuses nobody, wrong parts, and users without the permission', async () => {
  const { user } = await scene('unprivileged')
  const answers = await sweepRpcs({
    address: session.address,
    trustDomain: session.authority.trustDomain,
    serverPath: 'service/session',
    registrations: [
      'postern.session.v1.SessionService',
      'postern.session.v1.AgentSessionService',
      'postern.eventlog.v1.EventLogService',
    ],
    identityOf: async (path) => await session.authority.identity(path),
    unprivilegedToken: user.as.userToken,
  })
  expect(openDoors(answers)).toEqual([])
  expect(new Set(answers.map(({ rpc }) => rpc)).size).toBe(12)
})

test('a user sees and ends what is his own, and of others not even that it is there', async () => {
  const mine = await scene('mine')
  const other = await scene('other')
  const console = await session.console()
  const { sessions } = await console.listSessions({}, mine.user.as)
  expect(sessions.map(({ id }) => id)).toEqual([mine.id])
  expect((await console.listSessions({ user: 'mine' }, mine.user.as)).sessions).toHaveLength(1)
  for (const user of ['other', 'nobody', '*', other.user.userId]) {
    await expect(console.listSessions({ user }, mine.user.as)).rejects.toMatchObject({
      reason: 'NOT_YOURS',
    })
  }
  for (const call of [console.getSession, console.endSession]) {
    await expect(call({ sessionId: other.id }, mine.user.as)).rejects.toMatchObject({
      reason: 'SESSION_NOT_FOUND',
    })
    await expect(call({ sessionId: 'x' }, mine.user.as)).rejects.toMatchObject({
      reason: 'INVALID_ID',
    })
  }
  expect((await console.getSession({ sessionId: other.id }, other.user.as)).session).toMatchObject({
    id: other.id,
    state: 2,
    userName: 'other',
  })
})

test('an auditor sees everything and ends nothing; an administrator does both', async () => {
  const { id, user } = await scene('watched')
  const console = await session.console()
  const all = (await console.listSessions({ user: '*' }, auditor)).sessions
  expect(all.map((one) => one.id)).toContain(id)
  expect((await console.listSessions({ user: 'watched' }, auditor)).sessions).toHaveLength(1)
  await expect(console.endSession({ sessionId: id }, auditor)).rejects.toMatchObject({
    reason: 'SESSION_NOT_FOUND',
  })
  await console.endSession({ sessionId: id }, root)
  expect((await console.listSessions({}, user.as)).sessions).toEqual([])
  const ended = (await console.listSessions({ ended: true }, user.as)).sessions
  expect(ended.map((one) => one.id)).toEqual([id])
  await expect(console.listSessions({ user: 'nobody' }, root)).rejects.toMatchObject({
    reason: 'USER_NOT_FOUND',
  })
})

test('lists come in pages, complete, newest first', async () => {
  const console = await session.console()
  const ids: string[] = []
  let pageToken = ''
  do {
    const page = await console.listSessions(
      { user: '*', ended: true, pageSize: 2, pageToken },
      root,
    )
    expect(page.sessions.length).toBeLessThanOrEqual(2)
    ids.push(...page.sessions.map(({ id }) => id))
    pageToken = page.nextPageToken
  } while (pageToken !== '')
  expect(ids.length).toBeGreaterThan(3)
  expect(ids).toEqual(ids.toSorted().toReversed())
  const all = await console.listSessions({ user: '*', ended: true, pageSize: 1000 }, root)
  expect(ids).toEqual(all.sessions.map(({ id }) => id))
  await expect(console.listSessions({ pageSize: 1001 }, root)).rejects.toMatchObject({
    reason: 'INVALID_PAGE_SIZE',
  })
  await expect(console.listSessions({ pageToken: "'; --" }, root)).rejects.toMatchObject({
    reason: 'INVALID_PAGE_TOKEN',
  })
})

test('a gateway reports a thousand sessions at a time, and of those it made up nothing is kept', async () => {
  const gateway = await session.gateway()
  const activity = { sessionId: '01900000-0000-7000-8000-000000000000', openStreams: 1 }
  await gateway.reportActivity({ activities: Array.from({ length: 1000 }, () => activity) })
  await expect(
    gateway.reportActivity({ activities: Array.from({ length: 1001 }, () => activity) }),
  ).rejects.toMatchObject({ reason: 'TOO_MANY' })
  await expect(
    gateway.reportActivity({ activities: [{ ...activity, sessionId: 'x' }] }),
  ).rejects.toMatchObject({ reason: 'INVALID_ID' })
})

test('sessions can be dropped and rebuilt, by the RPC of the console too', async () => {
  expect(await session.rebuild()).toBe(true)
  const logs = await session.logs('service/console')
  const { projections } = await logs.rebuild({ verify: true }, root)
  expect(projections).toMatchObject([{ projection: 'sessions', equal: true }])
  expect(projections[0]?.events).toBeGreaterThan(10n)
  await expect(logs.rebuild({ verify: true }, auditor)).rejects.toMatchObject({
    reason: 'PERMISSION_REQUIRED',
  })
})
