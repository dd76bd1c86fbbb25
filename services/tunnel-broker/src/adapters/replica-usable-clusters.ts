import { compile, hasAnyAccess } from '@postern/access'
import type { Replica } from '@postern/replica'
import type { UsableClusters } from '../cluster/cluster-rpc.ts'

/** Which clusters a user may use, from the replica of identity, policy and this service's own log. */
export function createUsableClusters(replica: Replica): UsableClusters {
  return {
    ready: () => replica.caughtUp,
    of(userId, at) {
      const snapshot = replica.snapshot()
      return [...snapshot.clusters.keys()].filter((clusterId) =>
        hasAnyAccess(compile(snapshot, { userId, clusterId }), at),
      )
    },
  }
}
