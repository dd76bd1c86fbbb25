import type { Binding } from './session.ts'

/** What identity, policy and tunnel-broker say now about users, clusters and agents. */
export type AccessView = {
  /** False until everything was read once, and while a log is read anew: nothing is concluded then. */
  ready(): boolean
  /** The same object until something that judgements rest on has changed; what time alone changes is not in it. */
  state(): object
  judge(userId: string, clusterId: string, at: Date): Judgement
  /** The id of a user by name; an id stays as it is, also of a user who is gone. */
  findUser(reference: string): string | undefined
  hasCluster(clusterId: string): boolean
  /** Whether the agent joined the cluster and was not removed. */
  hasAgent(clusterId: string, agentId: string): boolean
  onChange(listener: () => void): () => void
  /** Resolves when the condition holds after a change, when the time is up, or at the signal. */
  until(isSo: () => boolean, timeoutMs: number, signal: AbortSignal): Promise<void>
}

export type Judgement = {
  readonly user: 'enabled' | 'disabled'
  readonly userName: string
  readonly clusterExists: boolean
  /** Whether any grant gives the user anything on the cluster. */
  readonly hasAccess: boolean
  /** Roles that together cover the user's grants, sorted. */
  readonly bindings: readonly Binding[]
  /** Grants that no role of the cluster's install level covers, each with the reason. */
  readonly uncovered: readonly string[]
  /** When a grant of the user's on the cluster begins or ends next by its time. */
  readonly changesAt: Date | undefined
}
