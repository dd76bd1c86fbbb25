import { setTimeout } from 'node:timers/promises'
import type { Log } from '@postern/telemetry'
import type { AccountKeeper } from './account-keeper.ts'
import type { ClusterObjects } from './cluster-objects.ts'

const RETRY_MS_MIN = 250
const RETRY_MS_MAX = 15_000
/** An agent that still cannot reach kube-apiserver by then ends; its next start tries again. */
const CLEAR_MS_MAX = 5 * 60_000

/**
 * Removes the objects of sessions whose time is over, whoever made them: what they say of themselves is
 * enough for that, whether or not anybody can be asked.
 */
export async function removeExpired(needs: {
  readonly objects: ClusterObjects
  readonly log: Log
  readonly now: () => Date
  /** A session that is known to be wanted still. */
  readonly except?: (sessionId: string) => boolean
}): Promise<void> {
  const { objects, log, now, except = () => false } = needs
  const atMs = now().getTime()
  const expired = (await objects.list()).filter(
    ({ expiresAtMs, sessionId }) => expiresAtMs <= atMs && !except(sessionId),
  )
  await objects.remove(expired)
  if (expired.length > 0) log.warn({ objects: expired.length }, 'expired objects removed')
}

/**
 * Removes all that an agent made which was removed itself, also in an earlier life. Answers whether
 * nothing is left; other agents of the cluster keep what they made.
 */
export async function clearAway(needs: {
  readonly objects: ClusterObjects
  readonly keeper: Pick<AccountKeeper, 'close' | 'isIdle'>
  readonly agentId: string
  readonly log: Log
  readonly signal: AbortSignal
}): Promise<boolean> {
  const { objects, keeper, agentId, log, signal } = needs
  const deadline = performance.now() + CLEAR_MS_MAX
  // What is being made just now will be, and goes after that.
  keeper.close()
  for (let retryMs = RETRY_MS_MIN; !signal.aborted; retryMs = Math.min(retryMs * 2, RETRY_MS_MAX)) {
    try {
      const wasIdle = keeper.isIdle
      const own = (await objects.list()).filter((found) => found.agentId === agentId)
      if (own.length === 0 && wasIdle) return true
      await objects.remove(own)
    } catch (error) {
      log.warn({ err: error }, 'not all accounts of this agent could be removed, trying again')
    }
    if (performance.now() > deadline) return false
    await setTimeout(retryMs * (0.5 + Math.random() / 2), undefined, { signal }).catch(() => {})
  }
  return false
}
