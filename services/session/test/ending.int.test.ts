import { until } from '@postern/fixtures'
import { EndReason } from '@postern/proto/postern/session/events/v1/events'
import { SessionState } from '@postern/proto/postern/session/v1/session'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { EDIT_PODS, type RunningSession, runSession, VIEW_PODS } from './running-session.ts'
import { type Scene, setTheScene } from './scene.ts'
import { startTestAgent } from './test-agent.ts'

let session: RunningSession
let viewer: string
let root: { userToken: string }

beforeAll(async () => {
  session = await runSession({
    postgresUrl: inject('postgresUrl'),
    settings: { POSTERN_SESSION_IDLE_SECONDS: '60', POSTERN_SESSION_LIFETIME_SECONDS: '900' },
  })
  viewer = await session.createRole('viewer', [VIEW_PODS])
  root = (await session.createUser('root', 'administrator')).as
})

afterAll(async () => {
  await session.stop()
})

const scene = async (name: string, end?: Date) =>
  await setTheScene(session, { name, roleId: viewer, ...(end === undefined ? {} : { until: end }) })

const shown = async (sessionId: string) =>
  (await (await session.console()).getSession({ sessionId }, root)).session

/** The agent is told to remove the account, says so, and the session is over for that reason. */
async function expectEnded({ agent }: Scene, sessionId: string, reason: EndReason) {
  const unwanted = await agent.order(sessionId, ({ wanted }) => !wanted)
  expect(await shown(sessionId)).toMatchObject({
    state: SessionState.SESSION_STATE_ENDING,
    endReason: reason,
  })
  await agent.removed(unwanted)
  expect(await shown(sessionId)).toMatchObject({
    state: SessionState.SESSION_STATE_ENDED,
    endReason: reason,
  })
  await agent.stop()
}

test('signing out of a session ends it at once; the next use opens another, with another account', async () => {
  const here = await scene('leaves')
  const { id, account } = await here.use()
  await (await session.console()).endSession({ sessionId: id }, here.user.as)
  await (await session.console()).endSession({ sessionId: id }, here.user.as)
  const unwanted = await here.agent.order(id, ({ wanted }) => !wanted)
  expect(unwanted).toMatchObject({ version: 2, account })

  const opening = here.open()
  await until(async () => (await here.agent.wantedFor(here.user.userId)).sessionId !== id)
  const again = await here.agent.wantedFor(here.user.userId)
  expect(again.account).not.toBe(account)
  await here.agent.provisioned(again)
  expect((await opening)?.id).toBe(again.sessionId)
  await expectEnded(here, id, EndReason.END_REASON_LOGOUT)
})

test('an administrator ends the session of another', async () => {
  const here = await scene('is-ended')
  const { id } = await here.use()
  await (await session.console()).endSession({ sessionId: id }, root)
  await expectEnded(here, id, EndReason.END_REASON_REVOKED)
})

test.each<{
  name: string
  reason: EndReason
  happens: (scene: Scene) => Promise<void>
}>([
  {
    name: 'the grant is revoked',
    reason: EndReason.END_REASON_GRANT_ENDED,
    happens: async ({ grantId }) =>
      await session.others.policy.append(`grant-${grantId}`, {
        type: 'GrantRevoked',
        grantId,
        reason: '',
      }),
  },
  {
    name: 'the user is disabled',
    reason: EndReason.END_REASON_USER_DISABLED,
    happens: async ({ user: { userId } }) =>
      await session.others.identity.append(`user-${userId}`, {
        type: 'UserDisabled',
        userId,
        reason: '',
      }),
  },
  {
    name: 'the user is deleted',
    reason: EndReason.END_REASON_USER_DISABLED,
    happens: async ({ user: { userId } }) =>
      await session.others.identity.append(`user-${userId}`, { type: 'UserDeleted', userId }),
  },
  {
    name: 'the cluster is removed',
    reason: EndReason.END_REASON_CLUSTER_REMOVED,
    happens: async ({ cluster: { clusterId } }) =>
      await session.others.tunnelBroker.append(`cluster-${clusterId}`, {
        type: 'ClusterRemoved',
        clusterId,
      }),
  },
])('a session ends when $name', async ({ name, reason, happens }) => {
  const here = await scene(name.replaceAll(' ', '-'))
  const { id } = await here.use()
  await happens(here)
  await expectEnded(here, id, reason)
})

test('a session ends in the moment in which its last grant does', async () => {
  const here = await scene('ends', new Date(session.now().getTime() + 30_000))
  const { id } = await here.use()
  session.advance(31)
  await expectEnded(here, id, EndReason.END_REASON_GRANT_ENDED)
})

test('a session that nobody uses ends, and one that is used goes on', async () => {
  const used = await scene('used')
  const unused = await scene('unused')
  const { id: usedId } = await used.use()
  const { id: unusedId } = await unused.use()
  const report = async (lastActiveAt: Date) =>
    await used.gateway.reportActivity({
      activities: [
        { sessionId: usedId, lastActiveAt: lastActiveAt.toISOString(), openStreams: 1 },
        // A gateway may say the same session twice; the latest counts.
        { sessionId: usedId, lastActiveAt: new Date(0).toISOString(), openStreams: 0 },
      ],
    })
  session.advance(50)
  await report(session.now())
  session.advance(20)
  await expectEnded(unused, unusedId, EndReason.END_REASON_IDLE)
  expect((await shown(usedId))?.state).toBe(SessionState.SESSION_STATE_ACTIVE)

  // A clock that is ahead keeps nothing alive for longer.
  await report(new Date(session.now().getTime() + 3_600_000))
  session.advance(61)
  await expectEnded(used, usedId, EndReason.END_REASON_IDLE)
})

test('a session ends after its time, however much it is used', async () => {
  const here = await scene('long')
  const { id } = await here.use()
  for (let minute = 0; minute < 15; minute += 1) {
    session.advance(59)
    const lastActiveAt = session.now().toISOString()
    const activities = [{ sessionId: id, lastActiveAt, openStreams: 1 }]
    await here.gateway.reportActivity({ activities })
  }
  expect((await shown(id))?.state).toBe(SessionState.SESSION_STATE_ACTIVE)
  session.advance(20)
  // The next request is not given what is over, whoever is first to see it.
  const opening = here.open()
  await until(async () => (await here.agent.wantedFor(here.user.userId)).sessionId !== id)
  await here.agent.provisioned(await here.agent.wantedFor(here.user.userId))
  expect((await opening)?.id).not.toBe(id)
  await expectEnded(here, id, EndReason.END_REASON_EXPIRED)
})

test('nothing is ended for what is missing while a log is read anew', async () => {
  const here = await scene('reads')
  const { id } = await here.use()
  const { policy } = session.others
  policy.holdAt(1n)
  await policy.changeEpoch()
  await until(async () => (await session.ready()) !== undefined)
  // The log so far knows the role and no grant; several rounds go by.
  await expect(here.open()).rejects.toMatchObject({ reason: 'STARTING' })
  const stranger = await startTestAgent(session, here.cluster)
  await until(async () => stranger.lost() !== undefined)
  expect(stranger.lost()).toMatchObject({ reason: 'STARTING' })
  expect((await shown(id))?.state).toBe(SessionState.SESSION_STATE_ACTIVE)

  policy.holdAt(undefined)
  await until(async () => (await session.ready()) === undefined)
  expect((await here.open())?.id).toBe(id)
  expect(here.agent.latest(id)?.wanted).toBe(true)

  // What it concludes then is of the log as it is now.
  await policy.append(`grant-${here.grantId}`, {
    type: 'GrantRevoked',
    grantId: here.grantId,
    reason: '',
  })
  await expectEnded(here, id, EndReason.END_REASON_GRANT_ENDED)
  await stranger.stop()
})

test('an agent that could not remove an account yet is told again, also after a crash', async () => {
  const here = await scene('crash')
  const { id } = await here.use()
  await here.agent.stop()
  await (await session.console()).endSession({ sessionId: id }, here.user.as)
  await session.restart()

  const agent = await startTestAgent(session, here.cluster)
  await agent.untilSynced()
  expect(agent.latest(id)).toMatchObject({ wanted: false, version: 2 })
  await agent.removed(await agent.order(id, () => true))
  await agent.stop()

  // Once it is gone nobody is told of it any more.
  const later = await startTestAgent(session, here.cluster)
  await later.untilSynced()
  expect(later.seen).toEqual(['synced'])
  await later.stop()
})

test('a role that grows does not end a session', async () => {
  const here = await scene('grows')
  const { id } = await here.use()
  await session.others.policy.append(`role-${viewer}`, {
    type: 'RoleChanged',
    roleId: viewer,
    description: '',
    rules: [EDIT_PODS],
  })
  const order = await here.agent.order(id, ({ version }) => version === 2)
  expect(order.wanted).toBe(true)
  await here.agent.stop()
})
