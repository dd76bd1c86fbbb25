/** Why a cluster could not be reached. */
export type TunnelFailure =
  | 'no-agent'
  | 'no-relay'
  | 'overloaded'
  | 'peer-refused'
  | 'timeout'
  | 'aborted'

/** The way to a cluster could not be opened. */
export class TunnelError extends Error {
  override readonly name: string = 'TunnelError'
  readonly reason: TunnelFailure

  constructor(reason: TunnelFailure, message: string, options?: ErrorOptions) {
    super(message, options)
    this.reason = reason
  }
}

/** No agent of the cluster is parked on any relay that can be reached: the cluster is offline. */
export class NoAgentError extends TunnelError {
  override readonly name = 'NoAgentError'

  constructor(clusterId: string) {
    super('no-agent', `no agent of cluster ${clusterId} is connected`)
  }
}
