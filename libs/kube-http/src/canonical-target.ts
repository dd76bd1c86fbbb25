import { rejections } from '@postern/errors'

const rejected = rejections({
  TARGET_NOT_ORIGIN: [
    'invalid_argument',
    'the request target must be a path that begins with one slash',
  ],
  TARGET_TOO_LONG: ['invalid_argument', 'the request target has more than 1 MiB'],
  PATH_FORBIDDEN_CHARACTER: [
    'invalid_argument',
    'the path holds a character that must be percent-encoded, or a fragment',
  ],
  PATH_BAD_ESCAPE: ['invalid_argument', 'the path is not valid percent-encoded UTF-8'],
  PATH_FORBIDDEN_ESCAPE: [
    'invalid_argument',
    'the path holds an encoded slash, backslash, percent sign or control character',
  ],
  PATH_NOT_CANONICAL: [
    'invalid_argument',
    'the path holds an empty segment, or "." or ".." as a segment',
  ],
  QUERY_FORBIDDEN_CHARACTER: [
    'invalid_argument',
    'the query holds ";", "#", a space, a control character or a byte outside ASCII',
  ],
  QUERY_BAD_ESCAPE: ['invalid_argument', 'the query holds a malformed percent-encoding'],
  QUERY_REPEATED: [
    'invalid_argument',
    'watch, fieldSelector, labelSelector and dryRun may each be given only once',
  ],
})

/** What is authorized and what is forwarded: the same text. */
export type CanonicalTarget = {
  /** Begins with a slash; each segment decoded once and encoded again. */
  readonly path: string
  /** Byte-exact as received, without the question mark; empty if there is none. */
  readonly query: string
  /** Path and query as they go to the cluster. */
  readonly target: string
}

export type CanonicalOptions = {
  /** Lets `%2F` stand in what follows /proxy/ of a pod or a service. kube-apiserver decodes it. */
  readonly proxyTail?: boolean
}

const TARGET_CHARACTERS_MAX = 1024 * 1024
const PATH_RAW = /^[\x21-\x7e]*$/
const PATH_RAW_FORBIDDEN = /[\\#<>"{}|^`]/
const QUERY_RAW = /^[\x21-\x7e]*$/
const QUERY_RAW_FORBIDDEN = /[;#]/
const BAD_ESCAPE = /%(?![0-9A-Fa-f]{2})/
const DECODED_FORBIDDEN = /[\p{Cc}/\\%]/u
/** Most paths: nothing is encoded, no segment is empty or a dot or two, and no slash is the last. */
const CANONICAL_PATH = /^(?:\/(?!\.\.?(?:\/|$))[A-Za-z0-9\-._~!$&'()*+,;=:@]+)+$/
/** What RFC 3986 lets stand in a segment (pchar) without being encoded. */
const PLAIN_PATH = /^[A-Za-z0-9\-._~!$&'()*+,;=:@/]*$/
const PROXY = /^\/api\/v1\/(?:namespaces\/[^/]+\/)?(?:pods|services|nodes)\/[^/]+\/proxy\//
const PROXY_WITH_FREE_TAIL = /^\/api\/v1\/namespaces\/[^/]+\/(?:pods|services)\/[^/]+\/proxy\//
const ONCE = new Set(['watch', 'fieldSelector', 'labelSelector', 'dryRun'])

/**
 * The one form of a request target, or a rejection: kube-apiserver decodes a path once and does not
 * clean it, so that whatever could be read in two ways must not pass (KUBERNETES.md 2.1 to 2.3).
 *
 * @throws Rejection invalid_argument, with wording for the client
 */
export function canonicalTarget(
  rawTarget: string,
  options: CanonicalOptions = {},
): CanonicalTarget {
  if (rawTarget.length > TARGET_CHARACTERS_MAX) throw rejected('TARGET_TOO_LONG')
  if (!rawTarget.startsWith('/')) throw rejected('TARGET_NOT_ORIGIN')
  const mark = rawTarget.indexOf('?')
  const rawPath = mark === -1 ? rawTarget : rawTarget.slice(0, mark)
  const query = mark === -1 ? '' : rawTarget.slice(mark + 1)
  const path = canonicalPath(rawPath, options.proxyTail ?? false)
  checkQuery(query)
  return { path, query, target: query === '' ? path : `${path}?${query}` }
}

function canonicalPath(raw: string, proxyTail: boolean): string {
  if (raw === '/' || CANONICAL_PATH.test(raw)) return raw
  if (!PATH_RAW.test(raw) || PATH_RAW_FORBIDDEN.test(raw)) {
    throw rejected('PATH_FORBIDDEN_CHARACTER')
  }
  const trailing = raw.endsWith('/')
  const segments = raw.slice(1, trailing ? -1 : undefined).split('/')
  const plain = PLAIN_PATH.test(raw)
  const free = proxyTail ? freeFrom(segments) : Number.POSITIVE_INFINITY
  const canonical = segments.map((segment, index) => {
    if (plain || !segment.includes('%')) return encoded(checked(segment))
    return index < free ? encoded(checked(decoded(segment))) : freeSegment(segment)
  })
  const path = `/${canonical.join('/')}`
  // A proxied web page is another one with and without its last slash; elsewhere it means nothing.
  return trailing && PROXY.test(`${path}/`) ? `${path}/` : path
}

/** Where the tail begins in which slashes may be encoded. */
function freeFrom(segments: readonly string[]): number {
  const head = segments.slice(0, 7)
  return PROXY_WITH_FREE_TAIL.test(`/${head.join('/')}/`) ? head.length : Number.POSITIVE_INFINITY
}

/** A segment that stands for several: each must hold by itself, and stays joined as it came. */
function freeSegment(segment: string): string {
  return segment
    .split(/%2f/i)
    .map((part) => encoded(checked(decoded(part))))
    .join('%2F')
}

function decoded(segment: string): string {
  try {
    const text = decodeURIComponent(segment)
    if (DECODED_FORBIDDEN.test(text)) throw rejected('PATH_FORBIDDEN_ESCAPE')
    return text
  } catch (error) {
    if (error instanceof URIError) throw rejected('PATH_BAD_ESCAPE')
    throw error
  }
}

function checked(segment: string): string {
  if (segment === '' || segment === '.' || segment === '..') throw rejected('PATH_NOT_CANONICAL')
  return segment
}

function encoded(segment: string): string {
  if (PLAIN_PATH.test(segment)) return segment
  return encodeURIComponent(segment).replace(/%(?:24|26|2B|2C|3B|3D|3A|40)/g, (code) =>
    String.fromCharCode(Number.parseInt(code.slice(1), 16)),
  )
}

function checkQuery(query: string): void {
  if (query === '') return
  if (!QUERY_RAW.test(query) || QUERY_RAW_FORBIDDEN.test(query)) {
    throw rejected('QUERY_FORBIDDEN_CHARACTER')
  }
  if (BAD_ESCAPE.test(query)) throw rejected('QUERY_BAD_ESCAPE')
  const seen = new Set<string>()
  for (const pair of query.split('&')) {
    const name = queryName(pair)
    if (seen.has(name)) throw rejected('QUERY_REPEATED')
    if (ONCE.has(name)) seen.add(name)
  }
}

function queryName(pair: string): string {
  const equals = pair.indexOf('=')
  const name = equals === -1 ? pair : pair.slice(0, equals)
  if (!name.includes('%')) return name
  // Byte by byte: the four names are ASCII, and no other bytes may stand for them.
  return name.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  )
}
