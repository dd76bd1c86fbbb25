import { until } from '@postern/fixtures'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { EDIT_PODS, type RunningSession, runSession, VIEW_PODS } from './running-session.ts'
import { setTheScene as sceneOf } from './scene.ts'

let session: RunningSession
let viewer: string
let editor: string

beforeAll(async () => {
  session = await runSession({ postgresUrl: inject('postgresUrl') })
  viewer = await session.createRole('viewer', [VIEW_PODS])
  editor = await session.createRole('editor', [EDIT_PODS])
})

afterAll(async () => {
  await session.stop()
})

const setTheScene = async (name: string, roleId = viewer) =>
  await sceneOf(session, { name, roleId })

test('the first use opens a session, and answers once its account stands', async () => {
  const { user, cluster, agent, open } = await setTheScene('first')
  const opening = open()
  const wanted = await agent.wantedFor(user.userId)
  expect(wanted).toMatchObject({
    clusterId: cluster.clusterId,
    version: 1,
    wanted: true,
    userName: 'first',
    bindings: [{ clusterRole: 'postern-view', namespaces: ['shop'] }],
  })
  expect(wanted.account).toMatch(/^ptr-[a-z2-7]{20}-[a-z2-7]{8}$/)
  await agent.provisioned(wanted)
  expect(await opening).toMatchObject({ id: wanted.sessionId, account: wanted.account, state: 2 })

  // The next use finds it, and waits for nothing.
  expect(await open()).toMatchObject({ id: wanted.sessionId })
  await agent.stop()
})

test('however many requests come first at once, they share one session', async () => {
  const { user, agent, open } = await setTheScene('many')
  const opening = Promise.all(Array.from({ length: 25 }, open))
  await agent.provisioned(await agent.wantedFor(user.userId))
  const ids = new Set((await opening).map((opened) => opened?.id))
  expect(ids.size).toBe(1)
  const console = await session.console()
  const { sessions } = await console.listSessions({ ended: true }, user.as)
  expect(sessions).toHaveLength(1)
  await agent.stop()
})

test('a right that a gateway knows a moment earlier is waited for', async () => {
  const user = await session.createUser('early')
  const { clusterId } = await session.createCluster('early')
  const gateway = await session.gateway()
  const opening = gateway.openSession({ userId: user.userId, clusterId }, { deadlineMs: 15_000 })
  await session.grant(user.userId, clusterId, viewer)
  await expect(opening).rejects.toMatchObject({ reason: 'ACCOUNT_NOT_MADE' })
})

test('who may do nothing on a cluster gets no session there, and is told why', async () => {
  const user = await session.createUser('nothing')
  const { clusterId } = await session.createCluster('nothing')
  const gateway = await session.gateway()
  const { userId } = user
  await expect(gateway.openSession({ userId, clusterId })).rejects.toMatchObject({
    reason: 'NO_ACCESS',
  })
  const unknown = { userId: clusterId, clusterId }
  await expect(gateway.openSession(unknown)).rejects.toMatchObject({ reason: 'USER_DISABLED' })
  const nowhere = { userId, clusterId: userId }
  await expect(gateway.openSession(nowhere)).rejects.toMatchObject({ reason: 'CLUSTER_NOT_FOUND' })
  await expect(gateway.openSession({ userId: 'x', clusterId })).rejects.toMatchObject({
    reason: 'INVALID_ID',
  })
  const { sessions } = await (await session.console()).listSessions({ ended: true }, user.as)
  expect(sessions).toEqual([])
})

test('an account that no agent makes is an answer in time, not a wait without end', async () => {
  const { agent, open } = await setTheScene('silent')
  await expect(open()).rejects.toMatchObject({ code: 14, reason: 'ACCOUNT_NOT_MADE' })
  await agent.stop()
})

test("the agent's complaint reaches the one who waits, whatever characters it has", async () => {
  const { user, agent, open } = await setTheScene('complains')
  const answer = open().catch((error: unknown) => error)
  const { sessionId, version } = await agent.wantedFor(user.userId)
  const text = `no\u0007such role: "postern-view"\u001B[2J\n${'é'.repeat(2000)}`
  for (let times = 0; times < 3; times += 1) {
    await agent.report({ sessionId, version, result: { $case: 'failed', value: text } })
  }
  expect(await answer).toMatchObject({
    code: 14,
    details: expect.stringContaining(
      'could not make the account: no such role: "postern-view" [2J éé',
    ),
  })
  const { session: shown } = await (await session.console()).getSession({ sessionId }, user.as)
  expect(shown?.problem.length).toBeLessThanOrEqual(500)

  // It goes on trying, and the next request finds the account.
  const again = open()
  await agent.provisioned(await agent.wantedFor(user.userId))
  expect(await again).toMatchObject({ id: sessionId, problem: '' })
  await agent.stop()
})

test('other rights are another version of the account, and a request waits for that one', async () => {
  const { user, cluster, agent, open } = await setTheScene('widened')
  const opening = open()
  const first = await agent.wantedFor(user.userId)
  await agent.provisioned(first)
  await opening

  await session.grant(user.userId, cluster.clusterId, editor)
  const second = await agent.order(first.sessionId, ({ version }) => version === 2)
  expect(second).toMatchObject({
    account: first.account,
    bindings: [{ clusterRole: 'postern-edit', namespaces: ['shop'] }],
  })
  const waiting = open()
  // What is said of a version that was replaced is late.
  const late = agent.provisioned(first).then(() => 'waits on')
  expect(await Promise.race([waiting, late])).toBe('waits on')
  await agent.provisioned(second)
  expect(await waiting).toMatchObject({ id: first.sessionId })
  await agent.stop()
})

test('a role that changes is another version of the account of everyone who has it', async () => {
  const roleId = await session.createRole('changes', [VIEW_PODS])
  const { user, agent, open } = await setTheScene('changed', roleId)
  const opening = open()
  const first = await agent.wantedFor(user.userId)
  await agent.provisioned(first)
  await opening
  await session.others.policy.append(`role-${roleId}`, {
    type: 'RoleChanged',
    roleId,
    description: '',
    rules: [EDIT_PODS],
  })
  const second = await agent.order(first.sessionId, ({ version }) => version === 2)
  expect(second.bindings).toEqual([{ clusterRole: 'postern-edit', namespaces: ['shop'] }])
  await agent.stop()
})

test('grants that the installed roles do not cover are refused when they are used', async () => {
  const user = await session.createUser('uncovered')
  const { clusterId } = await session.createCluster('uncovered', 1)
  await session.grant(user.userId, clusterId, editor)
  const gateway = await session.gateway()
  await until(async () => {
    const answer = await gateway
      .openSession({ userId: user.userId, clusterId })
      .catch((error: unknown) => error)
    return answer instanceof Error && 'reason' in answer && answer.reason === 'GRANTS_NOT_COVERED'
  })
})
