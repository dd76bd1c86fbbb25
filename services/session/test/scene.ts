import type { RunningSession } from './running-session.ts'
import { startTestAgent } from './test-agent.ts'

/** Someone with a role in one namespace of a cluster of his own, whose agent listens. */
export async function setTheScene(
  session: RunningSession,
  { name, roleId, until }: { name: string; roleId: string; until?: Date },
) {
  const user = await session.createUser(name)
  const cluster = await session.createCluster(name)
  const grantId = await session.grant(user.userId, cluster.clusterId, roleId, until)
  const agent = await startTestAgent(session, cluster)
  await agent.untilSynced()
  const gateway = await session.gateway()
  const order = { userId: user.userId, clusterId: cluster.clusterId }
  const open = async () => (await gateway.openSession(order, { deadlineMs: 15_000 })).session
  return {
    user,
    cluster,
    grantId,
    agent,
    gateway,
    open,
    /** Opens a session and makes its account. */
    async use() {
      const opening = open()
      const wanted = await agent.wantedFor(user.userId)
      await agent.provisioned(wanted)
      const opened = await opening
      if (opened === undefined) throw new Error('no session was opened')
      return opened
    },
  }
}

export type Scene = Awaited<ReturnType<typeof setTheScene>>
