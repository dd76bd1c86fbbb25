import type { TLSSocket } from 'node:tls'
import type { MuxSession } from '@postern/mux'
import type { TlsIdentity } from '@postern/pki'
import type { Log } from '@postern/telemetry'

export type GatewayDialerOptions = {
  /** host:port of every relay, as gateways dial it; asked again every second. */
  readonly relays: () => readonly string[]
  readonly identity: TlsIdentity
  readonly trustDomain: string
  readonly log: Log
}

/** Reaches clusters through relays. Every attempt ends within 2 s. */
export type GatewayDialer = {
  /** A new session with an agent of that cluster; keep and share it, it carries thousands of streams. */
  connectMux(clusterId: string, signal?: AbortSignal): Promise<ClusterMux>
  /** A connection of its own for one upgraded request. */
  connectUpgrade(clusterId: string, signal?: AbortSignal): Promise<ClusterUpgrade>
  /** Relays whose control connection stands. */
  readonly relaysConnected: number
  /** Closes control connections, sessions and upgrades. */
  close(): Promise<void>
}

export type ClusterMux = { readonly session: MuxSession; readonly agentId: string }
export type ClusterUpgrade = { readonly socket: TLSSocket; readonly agentId: string }

/** connectMux and connectUpgrade throw NoAgentError for an offline cluster, else TunnelError. */
export function createGatewayDialer(_options: GatewayDialerOptions): GatewayDialer {
  throw new Error('being written')
}
