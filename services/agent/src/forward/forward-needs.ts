import type { TLSSocket } from 'node:tls'
import type { Log } from '@postern/telemetry'
import type { AccountKeeper } from '../account/account-keeper.ts'
import type { AgentSignals } from '../signals.ts'
import type { UpstreamPool } from '../upstream/upstream-pool.ts'
import type { LiveStreams } from './live-streams.ts'

/** What carrying a request needs. */
export type ForwardNeeds = {
  readonly keeper: Pick<AccountKeeper, 'token' | 'tokenSoon' | 'foundBroken'>
  readonly upstream: UpstreamPool
  /** A connection to kube-apiserver of one's own. */
  readonly dial: () => Promise<TLSSocket>
  /** kube-apiserver's host and port. */
  readonly host: string
  readonly live: LiveStreams
  readonly signals: AgentSignals
  readonly log: Log
}
