import { rejections } from '@postern/errors'
import type { AccessView } from '../session/access-view.ts'

const rejected = rejections({
  AGENT_REMOVED: ['permission_denied', 'this agent is not, or no more, an agent of its cluster'],
  STARTING: ['unavailable', 'the session service is still reading the logs; try again'],
})

/** An agent that joined a moment ago may be on its way here. */
const ARRIVAL_MS_MAX = 3000

/**
 * Whether the agent may serve its cluster: a certificate outlives the removal of its agent. The agents
 * of a cluster that was removed may still clear away what they made: no account is wanted there.
 */
export function isServing(access: AccessView, clusterId: string, agentId: string): boolean {
  return access.hasAgent(clusterId, agentId) || !access.hasCluster(clusterId)
}

/** Resolves when the agent may serve its cluster. @throws Rejection when it may not */
export async function untilServing(
  access: AccessView,
  { clusterId, agentId }: { clusterId: string; agentId: string },
  signal: AbortSignal,
): Promise<void> {
  const isKnown = () => access.ready() && isServing(access, clusterId, agentId)
  await access.until(isKnown, ARRIVAL_MS_MAX, signal)
  if (!access.ready()) throw rejected('STARTING')
  if (!isKnown()) throw rejected('AGENT_REMOVED')
}
