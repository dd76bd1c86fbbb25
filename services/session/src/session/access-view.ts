import type { Binding } from './session.ts'

/** What identity, policy and tunnel-broker say now about a user and a cluster. */
export type AccessView = {
  /** False until everything was read once: until then nothing is concluded from what is missing. */
  ready(): boolean
  judge(userId: string, clusterId: string, at: Date): Judgement
  /** The id of a user, by id or name. */
  findUser(reference: string): string | undefined
  onChange(listener: () => void): () => void
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
}
