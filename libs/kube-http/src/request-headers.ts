import { type HeaderLines, isFieldValue, valuesOf } from './header-lines.ts'
import { headerName } from './header-names.ts'

/**
 * What a client may say to kube-apiserver. Whatever is not named here does not leave the gateway.
 * Sec-WebSocket-Extensions is not: frames are never compressed, so that they can be read.
 */
const FORWARDED = new Set([
  'accept',
  'accept-encoding',
  'accept-language',
  'cache-control',
  'content-encoding',
  'content-length',
  'content-type',
  'if-match',
  'if-modified-since',
  'if-none-match',
  'if-range',
  'if-unmodified-since',
  'kubectl-command',
  'kubectl-session',
  'origin',
  'range',
  'sec-websocket-key',
  'sec-websocket-protocol',
  'sec-websocket-version',
  'user-agent',
  'x-stream-protocol-version',
])
/** kube-apiserver's own convention for those who cannot set headers on a WebSocket. */
const BEARER_PROTOCOL = /^base64url\.bearer\.authorization\.k8s\.io\./i
const CONTENT_LENGTH = /^\d{1,15}$/

/**
 * The first header, as written, that claims an identity: Impersonate-* or X-Remote-* in any spelling.
 * A request that has one is refused on every path, before anything else is believed.
 */
export function findIdentityHeader(headers: HeaderLines): string | undefined {
  return headers.find(([name]) => headerName(name).isIdentity)?.[0]
}

/**
 * What of a client's headers goes to the cluster: an allow-list, line by line as they came. Names in
 * the client's Connection are dropped from the client's lines only; add ours afterwards.
 */
export function forwardableRequestHeaders(headers: HeaderLines): HeaderLines {
  const named = namedInConnection(headers)
  const kept: [string, string][] = []
  for (const [name, value] of headers) {
    const { key } = headerName(name)
    if (!FORWARDED.has(key) || named.has(key) || !isFieldValue(value)) continue
    if (key === 'sec-websocket-protocol') {
      const protocols = withoutBearer(value)
      if (protocols !== '') kept.push([name, protocols])
    } else {
      kept.push([name, value])
    }
  }
  return kept
}

/** The body's length if the head says one; `undefined` if it is malformed or said twice. */
export function contentLengthOf(headers: HeaderLines): number | 'none' | undefined {
  const values = valuesOf(headers, 'content-length')
  if (values.length === 0) return 'none'
  const [value = ''] = values
  return values.length === 1 && CONTENT_LENGTH.test(value) ? Number(value) : undefined
}

/**
 * The first header that an agent must not take from a gateway: whoever says who is asking, or how
 * the message is framed, is the agent alone.
 */
export function findForbiddenHeader(headers: HeaderLines): string | undefined {
  for (const [name] of headers) {
    const { isToken, isOurs, isHopByHop: isNextHops, isIdentity } = headerName(name)
    if (!isToken || isOurs || isNextHops || isIdentity) return name
  }
  return undefined
}

const NOBODY: ReadonlySet<string> = new Set()

function namedInConnection(headers: HeaderLines): ReadonlySet<string> {
  const lines = valuesOf(headers, 'connection')
  if (lines.length === 0) return NOBODY
  const names = lines.flatMap((value) => value.split(','))
  return new Set(names.map((name) => name.trim().toLowerCase()))
}

/** Without the subprotocol that carries a browser's token: it is for the gateway alone. */
function withoutBearer(value: string): string {
  const protocols = value.split(',').map((protocol) => protocol.trim())
  return protocols.filter((protocol) => !BEARER_PROTOCOL.test(protocol)).join(', ')
}
