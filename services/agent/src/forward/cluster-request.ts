import { Rejection } from '@postern/errors'
import {
  canonicalTarget,
  findForbiddenHeader,
  framingFor,
  HeadError,
  type OutgoingRequest,
  type PreparedLines,
  prepareLines,
  type RequestHead,
} from '@postern/kube-http'
import type { AccountToken } from '../account/cluster-accounts.ts'

const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])

/** The lines that say who asks: the same for all that goes under one token. @throws HeadError */
export function createCredentialLines(host: string): (token: AccountToken) => PreparedLines {
  const known = new WeakMap<AccountToken, PreparedLines>()
  return (token) => {
    const found = known.get(token)
    if (found !== undefined) return found
    const made = prepareLines([
      ['Host', host],
      ['Authorization', `Bearer ${token.value}`],
    ])
    known.set(token, made)
    return made
  }
}

/**
 * What goes to kube-apiserver: the gateway's head with the account's credential. The gateway has
 * checked all of it; a gateway that has not is refused, not trusted.
 *
 * @throws HeadError naming what is wrong with the head
 */
export function toClusterRequest(
  head: RequestHead,
  ours: { readonly credential: PreparedLines; readonly traceparent: string },
): OutgoingRequest {
  const { method, target, upgrade, auditId } = head
  if (!METHODS.has(method)) throw new HeadError('the method is not allowed')
  if (!isCanonical(target)) throw new HeadError('the target is not canonical')
  const forbidden = findForbiddenHeader(head.headers)
  if (forbidden !== undefined) throw new HeadError(`the header ${forbidden} is not allowed`)
  const lines = prepareLines([
    ['Audit-ID', auditId],
    ['Traceparent', ours.traceparent],
    ...head.headers,
  ])
  const framing =
    upgrade === undefined
      ? framingFor(method, head.headers)
      : ({ kind: 'upgrade', protocol: upgrade } as const)
  return { method, target, headers: [ours.credential, lines], framing }
}

function isCanonical(target: string): boolean {
  try {
    return canonicalTarget(target, { proxyTail: true }).target === target
  } catch (error) {
    if (error instanceof Rejection) return false
    throw error
  }
}
