import {
  type Allow,
  type Cluster,
  type Decision,
  isDiscovery,
  isLongRunning,
  isSelfReview,
  narrowedTarget,
  parseRequestInfo,
  type Requester,
  type RequestInfo,
  requiresIntent,
  type Snapshot,
} from '@postern/access'
import { Rejection } from '@postern/errors'
import { canonicalTarget } from '@postern/kube-http'
import type { FrontHead } from '../front/front-interface.ts'
import { authenticate, type Caller, type TokenView } from './authenticate.ts'
import {
  denied,
  identityHeader,
  malformed,
  methodNotAllowed,
  noSuchCluster,
  type Refusal,
  refusals,
} from './refusal.ts'
import { routeCluster } from './route-cluster.ts'

/** All that an admission looks at. Pure given these. */
export type AdmissionView = TokenView & {
  readonly domain: string
  leaseValid(): boolean
  clusterByName(name: string): Cluster | undefined
  decide(snapshot: Snapshot, requester: Requester, request: RequestInfo, at: Date): Decision
}

/** What is known of a request so far; a refusal's audit record says no more than this. */
export type Known = {
  readonly clusterName?: string
  readonly cluster?: Cluster
  readonly caller?: Caller
  readonly info?: RequestInfo
  /** What is decided and forwarded, where it is not what came letter for letter. */
  readonly rewritten?: string | undefined
  readonly decision?: Decision
}

/** What a request is once it is allowed. */
export type Admitted = {
  readonly cluster: Cluster
  readonly caller: Caller
  /** Canonical: what was decided is what is forwarded. */
  readonly target: string
  readonly info: RequestInfo
  readonly decision: Allow | undefined
  readonly kind: 'forward' | 'self-review'
  readonly discovery: boolean
  readonly longRunning: boolean
  readonly needsIntent: boolean
}

export type Admission =
  | { readonly admitted: Admitted; readonly known: Known }
  | { readonly refusal: Refusal; readonly known: Known }

const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'])

/** This is where a request is decided. Each step refuses or adds to what is known. */
export function admit(head: FrontHead, view: AdmissionView, at: Date): Admission {
  const refuse = (refusal: Refusal, known: Known = {}): Admission => ({ refusal, known })

  if (!view.leaseValid()) return refuse(refusals.leaseLost)

  const route = routeCluster(head, view.domain)
  const routed: Known = 'refusal' in route ? {} : { clusterName: route.clusterName }
  const caller = authenticate(head, view, at)
  if ('refusal' in caller) return refuse(caller.refusal, routed)
  if ('refusal' in route) return refuse(route.refusal, { caller })

  const parsed = parse(head.method, route.target)
  if ('refusal' in parsed) return refuse(parsed.refusal, { ...routed, caller })
  const { info, target } = parsed

  const cluster = view.clusterByName(route.clusterName)
  if (cluster === undefined) {
    return refuse(noSuchCluster(route.clusterName), { ...routed, caller, info })
  }
  const rewritten = target === route.target ? undefined : target
  const known = { ...routed, cluster, caller, info, rewritten }

  const wrongMethod = checkMethod(head, info)
  if (wrongMethod !== undefined) return refuse(wrongMethod, known)

  const identity = head.lines.identityHeader
  if (identity !== undefined) return refuse(identityHeader(identity), known)

  const snapshot = view.snapshot()
  const decision = view.decide(snapshot, { userId: caller.userId, clusterId: cluster.id }, info, at)
  if (decision.outcome === 'deny') return refuse(denied(decision.reason), { ...known, decision })

  const upgrade = head.upgrade !== undefined
  const admitted: Admitted = {
    cluster,
    caller,
    target,
    info,
    decision,
    kind: isSelfReview(info) ? 'self-review' : 'forward',
    discovery: isDiscovery(info) || isSelfReview(info),
    longRunning: isLongRunning(info, upgrade),
    needsIntent: requiresIntent(info, upgrade),
  }
  return { admitted, known: { ...known, decision } }
}

function parse(
  method: string,
  rawTarget: string,
): { target: string; info: RequestInfo } | { refusal: Refusal } {
  try {
    const { target } = canonicalTarget(rawTarget)
    const info = parseRequestInfo(method, target)
    const narrowed = narrowedTarget(info, target)
    // From here on there is only this one: it is what is decided, recorded and forwarded.
    return narrowed === target
      ? { target, info }
      : { target: narrowed, info: parseRequestInfo(method, narrowed) }
  } catch (error) {
    if (error instanceof Rejection) return { refusal: malformed(error.message) }
    throw error
  }
}

function checkMethod(head: FrontHead, info: RequestInfo): Refusal | undefined {
  const { method, upgrade } = head
  // OPTIONS means something only to what lies behind a proxy subresource.
  const optionsToProxy = method === 'OPTIONS' && info.subresource === 'proxy'
  if (!METHODS.has(method) && !optionsToProxy) return methodNotAllowed(method)
  // kube-apiserver reads /api/v1/watch/... as a watch whatever the method.
  if (info.verbInPath && method !== 'GET') return methodNotAllowed(method)
  if (upgrade === 'websocket' && method !== 'GET') return methodNotAllowed(method)
  if (upgrade === 'SPDY/3.1' && method !== 'GET' && method !== 'POST')
    return methodNotAllowed(method)
  return undefined
}
