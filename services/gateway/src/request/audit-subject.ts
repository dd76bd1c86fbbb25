import type { Positions } from '@postern/replica'
import { type AuditSubject, redactTarget } from '../audit/record.ts'
import type { FrontHead } from '../front/front-interface.ts'
import { headerValue } from '../front/header-values.ts'
import type { Known } from './admit.ts'

/** What every record of a request says. */
export function auditSubject(order: {
  auditId: string
  receivedAt: Date
  head: FrontHead
  known: Known
  allowed: boolean
  /** Why it was refused, when no decision says so. */
  reason: string | undefined
  positions: Positions
  gateway: string
  session?: { readonly id: string; readonly account: string }
}): AuditSubject {
  const { auditId, receivedAt, head, known, allowed, reason, positions, gateway, session } = order
  const { caller, info, decision, rewritten } = known
  const headerOf = (name: string) => headerValue(head.headers, name)
  return {
    auditId,
    receivedAt,
    target: head.target,
    verb: info?.verb ?? head.method.toLowerCase(),
    ...(caller === undefined
      ? {}
      : { user: { name: caller.userName, id: caller.userId, groups: caller.groups } }),
    remoteAddress: head.remoteAddress,
    userAgent: headerOf('user-agent'),
    ...(info?.isResourceRequest === true ? { objectRef: info } : {}),
    annotations: {
      cluster: known.cluster?.name ?? known.clusterName,
      decision: allowed ? 'allow' : 'deny',
      reason: decision?.reason ?? reason,
      'forwarded-target': rewritten === undefined ? undefined : redactTarget(rewritten),
      grant: decision?.grant?.name,
      role: decision?.role?.name,
      session: session?.id,
      account: session?.account,
      positions: positionsText(positions),
      token: caller?.tokenId,
      gateway,
      method: head.method,
      upgrade: head.upgrade,
      'kubectl-command': headerOf('kubectl-command'),
      // One per invocation of kubectl: it links the two tries of a denied exec.
      'kubectl-session': headerOf('kubectl-session'),
      'client-audit-id': headerOf('audit-id'),
    },
  }
}

function positionsText({ identity, policy, 'tunnel-broker': tunnelBroker }: Positions): string {
  return `identity=${identity},policy=${policy},tunnel-broker=${tunnelBroker}`
}
