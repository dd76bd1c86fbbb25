import type { Replica, ReplicaNeeds } from './replica.ts'

export type { KnownToken, Positions, Replica, ReplicaNeeds, ReplicatedLog } from './replica.ts'

export const createReplica: (needs: ReplicaNeeds) => Replica = () => {
  throw new Error('not written yet')
}
