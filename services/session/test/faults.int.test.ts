import { until } from '@postern/fixtures'
import { EndReason } from '@postern/proto/postern/session/events/v1/events'
import { SessionState } from '@postern/proto/postern/session/v1/session'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { type RunningSession, runSession, VIEW_PODS } from './running-session.ts'
import { setTheScene } from './scene.ts'
import { startTestAgent } from './test-agent.ts'

let session: RunningSession
let viewer: string

beforeAll(async () => {
  session = await runSession({
    postgresUrl: inject('postgresUrl'),
    settings: { POSTERN_SESSION_IDLE_SECONDS: '60' },
  })
  viewer = await session.createRole('viewer', [VIEW_PODS])
})

afterAll(async () => {
  await session.stop()
})

test('a database that goes and comes back ends neither the service nor a session', async () => {
  const here = await setTheScene(session, { name: 'outage', roleId: viewer })
  const { id } = await here.use()
  await session.database.cut()
  // Nothing can be said to an agent, so that its stream ends; nobody is told that anything ended.
  await until(async () => here.agent.lost() !== undefined)
  await expect(here.open()).rejects.toMatchObject({ code: 14 })
  await until(async () => (await session.ready()) !== undefined)
  await until(async () => session.warnedOf('sessions could not be kept'))
  // Gateways cannot report meanwhile: that silence means nothing.
  session.advance(120)
  await session.database.mend()
  await until(async () => (await session.ready()) === undefined)
  const agent = await startTestAgent(session, here.cluster)
  await agent.untilSynced()
  expect(agent.latest(id)).toMatchObject({ wanted: true, version: 1 })
  expect((await here.open())?.id).toBe(id)

  // It is ended as idle only once it could have been heard and was not: the silence that counts begins
  // when the service next looks, so time goes on until then.
  await until(async () => {
    session.advance(5)
    return agent.latest(id)?.wanted === false
  })
  const unwanted = await agent.order(id, ({ wanted }) => !wanted)
  await agent.removed(unwanted)
  const { session: over } = await (await session.console()).getSession(
    { sessionId: id },
    here.user.as,
  )
  expect(over?.state).toBe(SessionState.SESSION_STATE_ENDED)
  expect(over?.endReason).toBe(EndReason.END_REASON_IDLE)
  await agent.stop()
})

test('a bus that is not there costs nothing but time', async () => {
  const here = await setTheScene(session, { name: 'no-bus', roleId: viewer })
  await session.stopBus()
  const { id } = await here.use()
  await session.others.policy.append(`grant-${here.grantId}`, {
    type: 'GrantRevoked',
    grantId: here.grantId,
    reason: '',
  })
  await here.agent.order(id, ({ wanted }) => !wanted)
  await here.agent.stop()
})
