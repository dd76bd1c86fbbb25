import { Rejection } from '@postern/errors'
import {
  canonicalTarget,
  decodeRequestHead,
  framingFor,
  HeadError,
  type OutgoingRequest,
  type PreparedLines,
  prepareLines,
  type RequestHead,
} from '@postern/kube-http'
import type { AccountToken } from '../account/cluster-accounts.ts'
import { type GatewayLines, gatewayLines } from './gateway-lines.ts'

/** What a gateway asks for. */
export type GatewayHead = Omit<RequestHead, 'headers'> & { readonly headers: GatewayLines }

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

/** `undefined` where it is malformed, or holds what only an agent may say. */
export function readGatewayHead(bytes: Uint8Array): GatewayHead | undefined {
  try {
    return decodeRequestHead(bytes, gatewayLines)
  } catch (error) {
    if (error instanceof HeadError) return undefined
    throw error
  }
}

/**
 * What goes to kube-apiserver: the gateway's head with the account's credential. The gateway has
 * checked all of it; a gateway that has not is refused, not trusted.
 *
 * @throws HeadError naming what is wrong with the head
 */
export function toClusterRequest(
  head: GatewayHead,
  ours: { readonly credential: PreparedLines; readonly traceparent: string },
): OutgoingRequest {
  const { method, target, upgrade, auditId, headers } = head
  if (!METHODS.has(method)) throw new HeadError('the method is not allowed')
  if (!isCanonical(target)) throw new HeadError('the target is not canonical')
  const ids = prepareLines([
    ['Audit-ID', auditId],
    ['Traceparent', ours.traceparent],
  ])
  const framing =
    upgrade === undefined
      ? framingFor(method, headers.lines)
      : ({ kind: 'upgrade', protocol: upgrade } as const)
  return { method, target, headers: [ours.credential, ids, headers.prepared], framing }
}

function isCanonical(target: string): boolean {
  try {
    return canonicalTarget(target, { proxyTail: true }).target === target
  } catch (error) {
    if (error instanceof Rejection) return false
    throw error
  }
}
