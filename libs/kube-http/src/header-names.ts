import { rememberTexts } from './known-texts.ts'

/** What is to know of a header's name, in whatever spelling it comes. */
export type HeaderName = {
  /** As written, and the same text whenever it comes again: to look that up once more costs next to nothing. */
  readonly name: string
  /** In lower case. */
  readonly key: string
  /** RFC 9110, 5.6.2. Only then is it a name at all. */
  readonly isToken: boolean
  /** RFC 9110, 7.6.1, and older ones: only for the next hop. */
  readonly isHopByHop: boolean
  /** Impersonate-* or X-Remote-*: claims to be somebody. */
  readonly isIdentity: boolean
  /** Only the agent or the gateway itself says it. */
  readonly isOurs: boolean
}

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/
const HOP_BY_HOP = new Set([
  'connection',
  'http2-settings',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])
const OURS = new Set(['audit-id', 'authorization', 'cookie', 'expect', 'host', 'traceparent'])
const IDENTITY_PREFIXES = ['impersonate-', 'x-remote-']

/** Of header names: the same few come with every request and every answer. */
export const NAMES_REMEMBERED = { textsMax: 1024, charactersMax: 64 }

export const headerName = rememberTexts(lookAt, NAMES_REMEMBERED)

function lookAt(name: string): HeaderName {
  const key = name.toLowerCase()
  // Some servers read `_` as `-`, so both spellings are one name.
  const spelled = key.replaceAll('_', '-')
  return {
    name,
    key,
    isToken: TOKEN.test(name),
    isHopByHop: HOP_BY_HOP.has(spelled),
    isIdentity: IDENTITY_PREFIXES.some((prefix) => spelled.trim().startsWith(prefix)),
    isOurs: OURS.has(spelled),
  }
}
