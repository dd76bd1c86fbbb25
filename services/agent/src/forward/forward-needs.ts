import type { TLSSocket } from 'node:tls'
import type { PreparedLines } from '@postern/kube-http'
import type { Log } from '@postern/telemetry'
import type { AccountKeeper } from '../account/account-keeper.ts'
import type { AccountToken } from '../account/cluster-accounts.ts'
import type { AgentSignals } from '../signals.ts'
import type { Upstream } from '../upstream/exchange.ts'
import type { LiveStreams } from './live-streams.ts'

/** What carrying a request needs. */
export type ForwardNeeds = {
  readonly keeper: Pick<AccountKeeper, 'token' | 'tokenSoon' | 'foundBroken'>
  readonly upstream: Upstream
  /** For watches. */
  readonly watches: Upstream
  /** A connection to kube-apiserver of one's own. */
  readonly dial: () => Promise<TLSSocket>
  /** The lines that say who asks. */
  readonly credentials: (token: AccountToken) => PreparedLines
  readonly live: LiveStreams
  readonly signals: AgentSignals
  readonly log: Log
}
