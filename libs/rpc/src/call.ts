/** Who is at the other end of the connection, as its certificate says. */
export type Peer = {
  /** "gateway", "relay", "agent", or a service's name: "identity", "policy", "console", ... */
  readonly kind: string
  /** Last segment of the SPIFFE path: a gateway's, relay's or agent's id; a service's name. */
  readonly id: string
  /** Only for an agent. */
  readonly clusterId?: string
  readonly spiffeId: string
}

/** The end user whom a call is made for. */
export type EndUser = {
  readonly userId: string
  readonly userName: string
  readonly groupIds: readonly string[]
  readonly platformRole: 'none' | 'auditor' | 'administrator'
  readonly tokenId: string
}

/** What every handler gets beside its request. Access was checked before. */
export type Call = {
  readonly peer: Peer
  /** Present whenever the RPC's access asks for a permission or is for one's own. */
  readonly user?: EndUser
  /** Whether the user holds the permission; what is `own` is narrowed where this is false. */
  can(permission: string): boolean
  /** For EventStore: who causes the events, and through which RPC. */
  readonly actor: { readonly by: string; readonly cause: string }
  readonly signal: AbortSignal
}
