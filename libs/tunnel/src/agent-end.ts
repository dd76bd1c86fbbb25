import type { TLSSocket } from 'node:tls'
import type { MuxSession } from '@postern/mux'
import type { TlsIdentity } from '@postern/pki'
import type { Log } from '@postern/telemetry'

export type ParkAgentOptions = {
  /** host:port of every relay, as agents dial it; asked again every second. */
  readonly relays: () => readonly string[]
  readonly identity: TlsIdentity
  readonly trustDomain: string
  readonly log: Log
  /** A gateway, checked, made a session. Call `onStream` before returning. */
  onMux(session: MuxSession, peer: { readonly gatewayId: string }): void
  /** A gateway, checked, made a connection for one upgraded request. */
  onUpgrade(socket: TLSSocket, peer: { readonly gatewayId: string }): void
}

export type ParkedAgent = {
  /** Relays on which this agent is parked now. */
  readonly parkedOn: readonly string[]
  /** Parks no more, lets sessions and upgrades end by themselves until the deadline, then cuts them. */
  close(deadlineMs?: number): Promise<void>
}

/** Keeps the agent parked on every relay and answers when a gateway wants it. */
export function parkAgent(_options: ParkAgentOptions): ParkedAgent {
  throw new Error('being written')
}
