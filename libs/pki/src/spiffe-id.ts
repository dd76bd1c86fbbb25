import { rejections } from '@postern/errors'

const rejected = rejections({
  INVALID_SPIFFE_ID: ['invalid_argument', 'the SPIFFE ID is malformed'],
})

/** A part of Postern, as its SPIFFE ID names it. */
export type Part = {
  /** "gateway", "relay", "agent", or a service's name: "identity", "policy", "console", ... */
  readonly kind: string
  /** Last segment of the path: a gateway's, relay's or agent's id; a service's name. */
  readonly id: string
  /** Only for an agent. */
  readonly clusterId?: string
  readonly spiffeId: string
}

/** The services that have a name of their own; gateways, relays and agents are many. */
export const SERVICE_NAMES = [
  'identity',
  'policy',
  'session',
  'tunnel-broker',
  'audit',
  'console',
] as const

// https://github.com/spiffe/spiffe/blob/main/standards/SPIFFE-ID.md: sections 2.1 to 2.3.
const TRUST_DOMAIN = /^[a-z0-9._-]{1,255}$/
const SEGMENT = /^[A-Za-z0-9._-]{1,128}$/
const ID_BYTES_MAX = 2048

/** Builds "spiffe://<trust domain>/<segments>". @throws Rejection INVALID_SPIFFE_ID */
export function toSpiffeId(trustDomain: string, ...segments: readonly string[]): string {
  const id = `spiffe://${trustDomain}/${segments.join('/')}`
  parseSpiffeId(id)
  return id
}

/** @throws Rejection INVALID_SPIFFE_ID */
export function parseSpiffeId(text: string): { trustDomain: string; segments: string[] } {
  const scheme = 'spiffe://'
  if (text.length > ID_BYTES_MAX || !text.startsWith(scheme)) throw rejected('INVALID_SPIFFE_ID')
  const [trustDomain, ...segments] = text.slice(scheme.length).split('/')
  if (trustDomain === undefined || !TRUST_DOMAIN.test(trustDomain)) {
    throw rejected('INVALID_SPIFFE_ID')
  }
  if (segments.length === 0 || !segments.every(isSegment)) throw rejected('INVALID_SPIFFE_ID')
  return { trustDomain, segments }
}

export function isSpiffeId(text: string): boolean {
  try {
    return parseSpiffeId(text).segments.length > 0
  } catch {
    return false
  }
}

/**
 * Which part of the trust domain's Postern the id names; `undefined` for anything else, whether
 * malformed, foreign or of an unknown shape.
 */
export function toPart(trustDomain: string, spiffeId: string): Part | undefined {
  const segments = segmentsIn(trustDomain, spiffeId)
  const [kind, first, second, ...rest] = segments ?? []
  if (kind === undefined || first === undefined || rest.length > 0) return undefined
  if (kind === 'agent') {
    return second === undefined ? undefined : { kind, id: second, clusterId: first, spiffeId }
  }
  if (second !== undefined) return undefined
  if (kind === 'gateway' || kind === 'relay') return { kind, id: first, spiffeId }
  const isService = kind === 'service' && SERVICE_NAMES.some((name) => name === first)
  return isService ? { kind: first, id: first, spiffeId } : undefined
}

function segmentsIn(trustDomain: string, spiffeId: string): readonly string[] | undefined {
  if (!isSpiffeId(spiffeId)) return undefined
  const parsed = parseSpiffeId(spiffeId)
  return parsed.trustDomain === trustDomain ? parsed.segments : undefined
}

function isSegment(text: string): boolean {
  return SEGMENT.test(text) && text !== '.' && text !== '..'
}
