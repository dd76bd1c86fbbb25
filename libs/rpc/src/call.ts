import type { Part } from '@postern/pki'

/** Who is at the other end of the connection, as its certificate says. */
export type Peer = {
  /** "gateway", "relay", "agent", or a service's name: "identity", "policy", "console", ... */
  readonly kind: Part['kind']
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
  /** Of kind "anyone" on a server that asks for no client certificate. */
  readonly peer: Peer
  /** Present whenever the RPC's access asks for a permission or is for one's own. */
  readonly user?: EndUser
  /** Whether the user holds the permission; what is `own` is narrowed where this is false. */
  can(permission: string): boolean
  /** For EventStore: who causes the events, and through which RPC. */
  readonly actor: { readonly by: string; readonly cause: string }
  readonly signal: AbortSignal
}

/** The caller where no certificate is asked for. */
export const ANYONE: Peer = { kind: 'anyone', id: '', spiffeId: '' }

/** The call of a peer for itself, or for the user. `path` is "/postern.policy.v1.GrantService/CreateGrant". */
export function createCall(order: {
  peer: Peer
  user?: EndUser | undefined
  path: string
  signal: AbortSignal
}): Call {
  const { peer, user, path, signal } = order
  return {
    peer,
    ...(user === undefined ? {} : { user }),
    can: (permission) => user !== undefined && holds(user, permission),
    actor: { by: actorOf(peer, user), cause: path.replace(/^\/(postern\.)?/, '') },
    signal,
  }
}

/** Platform roles: an administrator holds every permission, an auditor those that only look. */
export function holds(user: EndUser, permission: string): boolean {
  switch (user.platformRole) {
    case 'administrator':
      return true
    case 'auditor':
      return /\.(list|get|explain)$/.test(permission)
    case 'none':
      return false
  }
}

function actorOf(peer: Peer, user: EndUser | undefined): string {
  if (user !== undefined) return `user:${user.userId}`
  switch (peer.kind) {
    case 'agent':
    case 'gateway':
    case 'relay':
      return `${peer.kind}:${peer.id}`
    case 'anyone':
      return 'anyone'
    default:
      return `service:${peer.id}`
  }
}
