import { until } from '@postern/fixtures'
import { newId } from '@postern/ids'
import { signAs } from '@postern/pki'
import { AccountOrder } from '@postern/proto/postern/session/v1/session'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { type RunningSession, runSession, VIEW_PODS } from './running-session.ts'
import { setTheScene } from './scene.ts'
import { startTestAgent } from './test-agent.ts'

let session: RunningSession
let viewer: string

beforeAll(async () => {
  session = await runSession({ postgresUrl: inject('postgresUrl') })
  viewer = await session.createRole('viewer', [VIEW_PODS])
})

afterAll(async () => {
  await session.stop()
})

const scene = async (name: string) => await setTheScene(session, { name, roleId: viewer })

test('an agent hears of everything there is, then that this was all, then of every change', async () => {
  const here = await scene('everything')
  const first = await here.use()
  const { userId } = await session.createUser('second')
  const late = await startTestAgent(session, here.cluster)
  await late.untilSynced()
  expect(late.seen).toMatchObject([{ sessionId: first.id, wanted: true }, 'synced'])

  await session.grant(userId, here.cluster.clusterId, viewer)
  const order = { userId, clusterId: here.cluster.clusterId }
  const opening = here.gateway.openSession(order, { deadlineMs: 15_000 })
  const wanted = await late.wantedFor(userId)
  await late.provisioned(wanted)
  await opening
  await (await session.console()).endSession({ sessionId: first.id }, here.user.as)
  await late.order(first.id, (one) => !one.wanted)
  expect(late.seen.filter((one) => one === 'synced')).toHaveLength(1)
  await late.stop()
  await here.agent.stop()
})

test('the second agent of a cluster hears the same, and either may do the work', async () => {
  const here = await scene('two')
  const agentId = newId('agent')
  const { clusterId } = here.cluster
  await session.others.tunnelBroker.append(`cluster-${clusterId}`, {
    type: 'AgentJoined',
    clusterId,
    agentId,
  })
  const other = await startTestAgent(session, { clusterId, agentId })
  await other.untilSynced()
  const opening = here.open()
  const wanted = await other.wantedFor(here.user.userId)
  expect(await here.agent.wantedFor(here.user.userId)).toEqual(wanted)
  await other.provisioned(wanted)
  await opening
  // Late, and of no consequence.
  await here.agent.provisioned(wanted)
  await other.stop()
  await here.agent.stop()
})

test('every order is signed by the session service, and one that was touched no more', async () => {
  const here = await scene('signed')
  await here.use()
  const [signed] = here.agent.signed
  if (signed === undefined) throw new Error('no order came')
  expect(here.agent.isSigned(signed)).toBe(true)

  const order = AccountOrder.decode(signed.order)
  const wider = { ...order, bindings: [{ clusterRole: 'cluster-admin', namespaces: [] }] }
  const forged = Buffer.from(AccountOrder.encode(wider).finish())
  expect(here.agent.isSigned({ ...signed, order: forged })).toBe(false)
  for (let bit = 0; bit < signed.order.length * 8; bit += 7) {
    const flipped = Buffer.from(signed.order)
    flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7))
    expect(here.agent.isSigned({ ...signed, order: flipped })).toBe(false)
  }
  // Signed by another part of the same installation is not signed by the session service.
  const gateway = await session.authority.material('gateway/g1')
  const own = signAs(gateway, signed.order)
  expect(
    here.agent.isSigned({ ...signed, signature: Buffer.from(own.signature), chain: own.chain }),
  ).toBe(false)
  await here.agent.stop()
})

test('an agent of another cluster sees and reports nothing', async () => {
  const here = await scene('ours')
  const elsewhere = await scene('theirs')
  const { id } = await here.use()
  await elsewhere.use()
  expect(elsewhere.agent.latest(id)).toBeUndefined()
  for (const result of [
    { $case: 'provisioned' as const, value: true },
    { $case: 'removed' as const, value: true },
    { $case: 'failed' as const, value: 'a lie' },
  ]) {
    await expect(
      elsewhere.agent.report({ sessionId: id, version: 1, result }),
    ).rejects.toMatchObject({ code: 7, reason: 'NOT_YOUR_SESSION' })
  }
  // A session that never was gets the same answer.
  await expect(
    elsewhere.agent.report({
      sessionId: newId('session'),
      version: 1,
      result: { $case: 'removed', value: true },
    }),
  ).rejects.toMatchObject({ reason: 'NOT_YOUR_SESSION' })
  const { session: shown } = await (await session.console()).getSession(
    { sessionId: id },
    here.user.as,
  )
  expect(shown).toMatchObject({ problem: '', state: 2 })
  await here.agent.stop()
  await elsewhere.agent.stop()
})

test('an agent cannot say that an account is gone that is still wanted', async () => {
  const here = await scene('still-wanted')
  const { id } = await here.use()
  await expect(
    here.agent.report({ sessionId: id, version: 1, result: { $case: 'removed', value: true } }),
  ).rejects.toMatchObject({ reason: 'ACCOUNT_STILL_WANTED' })
  const client = await session.agent(here.cluster.clusterId, here.cluster.agentId)
  await expect(client.reportAccount({ sessionId: id, version: 1 })).rejects.toMatchObject({
    reason: 'EMPTY_REPORT',
  })
  await here.agent.stop()
})

test('a removed agent is told nothing more and may report nothing, whatever its certificate says', async () => {
  const here = await scene('removed-agent')
  const { id } = await here.use()
  const { clusterId, agentId } = here.cluster
  await session.others.tunnelBroker.append(`cluster-${clusterId}`, {
    type: 'AgentRemoved',
    clusterId,
    agentId,
  })
  // The next change is what it would hear of.
  await (await session.console()).endSession({ sessionId: id }, here.user.as)
  await until(async () => here.agent.lost() !== undefined)
  expect(here.agent.latest(id)?.wanted).toBe(true)
  await expect(
    here.agent.report({ sessionId: id, version: 1, result: { $case: 'removed', value: true } }),
  ).rejects.toMatchObject({ code: 7, reason: 'AGENT_REMOVED' })
  const again = await startTestAgent(session, here.cluster)
  await until(async () => again.lost() !== undefined)
  expect(again.lost()).toMatchObject({ code: 7, reason: 'AGENT_REMOVED' })
  expect(again.seen).toEqual([])
})

test('the agents of a removed cluster may still clear away what they made', async () => {
  const here = await scene('cleared')
  const { id } = await here.use()
  await here.agent.stop()
  const { clusterId } = here.cluster
  await session.others.tunnelBroker.append(`cluster-${clusterId}`, {
    type: 'ClusterRemoved',
    clusterId,
  })
  const later = await startTestAgent(session, here.cluster)
  const unwanted = await later.order(id, ({ wanted }) => !wanted)
  await later.removed(unwanted)
  await later.stop()
})

test('a stream that the service ends when it stops begins anew with everything', async () => {
  const here = await scene('restarts')
  const { id } = await here.use()
  await session.restart()
  await until(async () => here.agent.lost() !== undefined)
  const again = await startTestAgent(session, here.cluster)
  await again.untilSynced()
  expect(again.latest(id)).toMatchObject({ wanted: true, version: 1 })
  await again.stop()
})
