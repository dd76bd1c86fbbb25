import { AGENT_ERROR_HEADER } from './agent-error.ts'
import type { ResponseHead } from './head.ts'
import { type HeaderLines, valuesOf } from './header-lines.ts'
import { type HeaderName, headerName, NAMES_REMEMBERED } from './header-names.ts'
import { rememberTexts } from './known-texts.ts'

const FORWARDED = new Set([
  'accept-ranges',
  'audit-id',
  'cache-control',
  'content-disposition',
  'content-encoding',
  'content-length',
  'content-range',
  'content-type',
  'date',
  'deprecation',
  'etag',
  'expires',
  'last-modified',
  'retry-after',
  'sec-websocket-accept',
  'sec-websocket-protocol',
  'vary',
  'warning',
  'x-accepted-stream-protocol-versions',
  'x-content-type-options',
  'x-stream-protocol-version',
])
const FORWARDED_PREFIX = 'x-kubernetes-pf-'

const isForwarded = rememberTexts((name) => {
  const { key } = headerName(name)
  return FORWARDED.has(key) || key.startsWith(FORWARDED_PREFIX)
}, NAMES_REMEMBERED)

/** What of the cluster's headers reaches the client: an allow-list, line by line. */
export function forwardableResponseHeaders(headers: HeaderLines): HeaderLines {
  return headers.filter(([name]) => isForwarded(name))
}

/** A cluster that sends a client elsewhere would send its credentials too (CVE-2022-3172). */
export function isForwardingRedirect({ status, headers }: ResponseHead): boolean {
  return status >= 300 && status < 400 && valuesOf(headers, 'location').length > 0
}

/** What an agent takes over from kube-apiserver's answer: no words to the next hop, and none of its own. */
export function isEndToEnd({ key, isHopByHop }: HeaderName): boolean {
  return !isHopByHop && key !== AGENT_ERROR_HEADER
}
