import type { HeaderLines } from '@postern/kube-http'
import { headerValues } from './header-values.ts'

export type Presented =
  | { readonly kind: 'token'; readonly token: string }
  | { readonly kind: 'none' }
  /** More than one, another scheme, or not decodable. */
  | { readonly kind: 'malformed' }

const BEARER = /^bearer +(\S+)$/i
/** How a browser, which cannot set headers on a WebSocket, sends its token (kube's convention). */
const PROTOCOL_PREFIX = 'base64url.bearer.authorization.k8s.io.'
const BASE64URL = /^[A-Za-z0-9_-]+$/

/** The bearer token of a request: said exactly once, in one of the two ways. Never a cookie. */
export function bearerToken(headers: HeaderLines): Presented {
  const lines = headerValues(headers, 'authorization')
  const offers = headerValues(headers, 'sec-websocket-protocol')
  const protocols = offers.length === 0 ? offers : offers.flatMap(partsOf)
  const carriers = protocols.filter(isCarrier)
  // With two of them, two parties could each believe another one.
  if (lines.length + carriers.length > 1) return { kind: 'malformed' }
  const [line] = lines
  const [carrier] = carriers
  if (line === undefined && carrier === undefined) return { kind: 'none' }
  // kube-apiserver wants another protocol beside the one that carries the token.
  if (carrier !== undefined && protocols.length === 1) return { kind: 'malformed' }
  const token = line === undefined ? fromProtocol(carrier ?? '') : BEARER.exec(line)?.[1]
  return token === undefined ? { kind: 'malformed' } : { kind: 'token', token }
}

const partsOf = (offer: string) => offer.split(',').map((protocol) => protocol.trim())
const isCarrier = (protocol: string) => protocol.toLowerCase().startsWith(PROTOCOL_PREFIX)

function fromProtocol(protocol: string): string | undefined {
  const encoded = protocol.slice(PROTOCOL_PREFIX.length)
  if (!BASE64URL.test(encoded)) return undefined
  const token = Buffer.from(encoded, 'base64url')
  return token.toString('base64url') === encoded ? token.toString('utf8') : undefined
}
