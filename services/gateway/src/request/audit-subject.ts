import type { Positions } from '@postern/replica'
import { type Annotations, type AuditSubject, redactTarget } from '../audit/record.ts'
import type { FrontHead } from '../front/front-interface.ts'
import type { Known } from './admit.ts'

type Order = {
  readonly auditId: string
  readonly receivedAt: Date
  readonly head: FrontHead
  readonly known: Known
  readonly allowed: boolean
  /** Why it was refused, when no decision says so. */
  readonly reason: string | undefined
  readonly positions: Positions
  readonly gateway: string
  readonly session: { readonly id: string; readonly account: string } | undefined
}

/** What every record of a request says. */
export function auditSubject(order: Order): AuditSubject {
  const { auditId, receivedAt, head, known, allowed, session } = order
  const { caller, info, decision, rewritten } = known
  return {
    auditId,
    receivedAt,
    target: head.target,
    verb: info?.verb ?? head.method.toLowerCase(),
    user: caller,
    client: head.lines,
    objectRef: info?.isResourceRequest === true ? info : undefined,
    decision: allowed ? 'allow' : 'deny',
    annotations: {
      'forwarded-target': rewritten === undefined ? undefined : redactTarget(rewritten),
      method: head.method,
      upgrade: head.upgrade,
    },
    standing:
      decision === undefined || session === undefined
        ? standingOf(order)
        : standingOnce(decision, session, order),
  }
}

type Kept = {
  readonly standing: Annotations
  readonly session: object
  readonly token: string
  readonly positions: Positions
}

const kept = new WeakMap<object, Kept>()

/** One object for all requests under a grant of a user on a cluster, until anything of it is another. */
function standingOnce(decision: object, session: object, order: Order): Annotations {
  const token = order.known.caller?.tokenId ?? ''
  const known = kept.get(decision)
  if (
    known?.session === session &&
    known.token === token &&
    known.positions === order.positions &&
    known.standing['gateway'] === order.gateway
  ) {
    return known.standing
  }
  const standing = standingOf(order)
  kept.set(decision, { standing, session, token, positions: order.positions })
  return standing
}

function standingOf({ known, reason, positions, gateway, session }: Order): Annotations {
  const { cluster, clusterName, caller, decision } = known
  return {
    cluster: cluster?.name ?? clusterName,
    reason: decision?.reason ?? reason,
    grant: decision?.grant?.name,
    role: decision?.role?.name,
    session: session?.id,
    account: session?.account,
    positions: positionsText(positions),
    token: caller?.tokenId,
    gateway,
  }
}

function positionsText({ identity, policy, 'tunnel-broker': tunnelBroker }: Positions): string {
  return `identity=${identity},policy=${policy},tunnel-broker=${tunnelBroker}`
}
