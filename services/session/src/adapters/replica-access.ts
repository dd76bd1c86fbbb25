import { accountBindings, compile, hasAnyAccess, nextChangeAt } from '@postern/access'
import { isId } from '@postern/ids'
import type { Replica } from '@postern/replica'
import type { AccessView, Judgement } from '../session/access-view.ts'

/** The view of identity, policy and tunnel-broker that the replica gives. */
export function createReplicaAccess(replica: Replica): AccessView {
  return {
    ready: () => replica.caughtUp,
    onChange: (listener) => replica.onChange(listener),
    findUser: (reference) => (isId(reference) ? reference : replica.userByName(reference)?.id),
    hasCluster: (clusterId) => replica.snapshot().clusters.has(clusterId),
    hasAgent: (clusterId, agentId) => replica.hasAgent(clusterId, agentId),
    until: async (isSo, timeoutMs, signal) => {
      if (isSo()) return
      const deadline = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)])
      await new Promise<void>((resolve) => {
        const settle = () => {
          if (!deadline.aborted && !isSo()) return
          end()
          deadline.removeEventListener('abort', settle)
          resolve()
        }
        const end = replica.onChange(settle)
        deadline.addEventListener('abort', settle)
        settle()
      })
    },
    state: () => replica.snapshot(),
    judge: (userId, clusterId, at) => judge(replica, userId, clusterId, at),
  }
}

function judge(replica: Replica, userId: string, clusterId: string, at: Date): Judgement {
  const snapshot = replica.snapshot()
  const user = snapshot.users.get(userId)
  const clusterExists = snapshot.clusters.has(clusterId)
  const requester = { userId, clusterId }
  const isEnabled = user !== undefined && !user.disabled
  const facts = {
    user: isEnabled ? ('enabled' as const) : ('disabled' as const),
    userName: user?.name ?? '',
    clusterExists,
  }
  if (!isEnabled || !clusterExists) {
    return { ...facts, hasAccess: false, bindings: [], uncovered: [], changesAt: undefined }
  }
  const wanted = accountBindings(snapshot, requester, at)
  const compiled = compile(snapshot, requester)
  return {
    ...facts,
    hasAccess: hasAnyAccess(compiled, at),
    changesAt: nextChangeAt(compiled, at),
    bindings: wanted.bindings.map(({ clusterRole, namespaces }) => ({
      clusterRole,
      namespaces: [...namespaces],
    })),
    uncovered: wanted.uncovered.map(({ grant, why }) => `${grant.name}: ${why}`),
  }
}
