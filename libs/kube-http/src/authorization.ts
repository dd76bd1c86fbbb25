import { type HeaderLines, valuesOf } from './header-lines.ts'

export type Authorization =
  | { readonly kind: 'bearer'; readonly token: string }
  | { readonly kind: 'none' }
  /** More than one, another scheme, or not decodable. */
  | { readonly kind: 'malformed' }

const BEARER = /^bearer +(\S+)$/i
/** How a browser, which cannot set headers on a WebSocket, sends its token (kube's convention). */
const PROTOCOL_PREFIX = 'base64url.bearer.authorization.k8s.io.'
const BASE64URL = /^[A-Za-z0-9_-]+$/

/** The bearer token of a request: said exactly once, in one of the two ways. */
export function authorizationOf(headers: HeaderLines): Authorization {
  const lines = valuesOf(headers, 'authorization')
  const protocols = valuesOf(headers, 'sec-websocket-protocol')
    .flatMap((value) => value.split(','))
    .map((protocol) => protocol.trim())
  const carriers = protocols.filter((protocol) => bearerProtocol(protocol) !== undefined)
  // With two of them, two parties could each believe another one.
  if (lines.length + carriers.length > 1) return { kind: 'malformed' }
  const [line] = lines
  const [carrier] = carriers
  if (line === undefined && carrier === undefined) return { kind: 'none' }
  // kube-apiserver wants another protocol beside the one that carries the token.
  const alone = carrier !== undefined && protocols.length === 1
  const token = line === undefined ? fromProtocol(carrier ?? '') : BEARER.exec(line)?.[1]
  return token === undefined || alone ? { kind: 'malformed' } : { kind: 'bearer', token }
}

/** What follows the prefix, still encoded; `undefined` for any other subprotocol. */
export function bearerProtocol(protocol: string): string | undefined {
  const isBearer = protocol.toLowerCase().startsWith(PROTOCOL_PREFIX)
  return isBearer ? protocol.slice(PROTOCOL_PREFIX.length) : undefined
}

function fromProtocol(protocol: string): string | undefined {
  const encoded = bearerProtocol(protocol) ?? ''
  if (!BASE64URL.test(encoded)) return undefined
  const token = Buffer.from(encoded, 'base64url')
  const isCanonical = token.toString('base64url') === encoded
  const text = token.toString('utf8')
  return isCanonical && /^\S+$/.test(text) ? text : undefined
}
