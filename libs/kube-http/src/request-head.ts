import type { UpgradeProtocol } from './head.ts'
import type { HeaderLines } from './header-lines.ts'
import { headerName } from './header-names.ts'
import { wantedUpgrade } from './wanted-upgrade.ts'

/*
 * One HTTP/1.1 request head, read as strictly as RFC 9110 and RFC 9112 allow. The rule behind the
 * rules: what two parsers could read in two ways is refused, and so is the connection.
 *
 *   head         = request-line *( field-line ) CRLF               RFC 9112, 2.1
 *   request-line = method SP request-target SP "HTTP/1.1" CRLF     RFC 9112, 3; one SP each
 *   field-line   = token ":" OWS field-value OWS CRLF              RFC 9112, 5; RFC 9110, 5.1, 5.5
 *
 * - Lines end in CRLF; a bare CR or LF anywhere is refused (RFC 9112, 2.2). No empty line before.
 * - No space before the colon (5.1), no line that goes on in the next one, obs-fold (5.2).
 * - Only HTTP/1.1 (2.3), only the methods of kube-apiserver, only origin-form (3.2.1).
 * - Exactly one Host that is not empty (3.2).
 * - A body has one framing: a Content-Length of digits, said once, or Transfer-Encoding: chunked,
 *   said once; never both, never a list (6.1 to 6.3).
 * - An upgrade is to WebSocket or SPDY/3.1, without a body, and plainly one (wanted-upgrade.ts).
 * - At most 1 MiB, as kube-apiserver, and 1000 lines.
 */

export type IncomingHead = {
  readonly method: string
  /** As received: not decoded, not normalized. It begins with a slash. */
  readonly target: string
  /** Set when the client wants the connection itself (RFC 9110, 7.8). */
  readonly upgrade: UpgradeProtocol | undefined
  /** The same object as in the head before, where that had the same lines. */
  readonly lines: FieldLines
}

/** What stands between the request line and the empty line, and what the lines say together. */
export type FieldLines = {
  readonly text: string
  /** In the order and number they came, names as written. */
  readonly headers: HeaderLines
  readonly host: string
  /** What follows the head: so many bytes, or chunks. */
  readonly bodyBytes: number | 'chunked'
  /** The client said that nothing follows this request (RFC 9112, 9.6). */
  readonly closes: boolean
  /** The client waits for 100 before it sends the body (RFC 9110, 10.1.1). */
  readonly expectsContinue: boolean
  readonly speaksOfUpgrade: boolean
}

/** Why nothing of a connection can be believed any more, and what to answer before closing it. */
export type HeadRefusal = {
  readonly status: 400 | 405 | 408 | 417 | 431 | 503 | 505
  readonly problem: string
}

export const REQUEST_HEAD_BYTES_MAX = 1024 * 1024
const HEADERS_MAX = 1000
export const REQUEST_METHODS: ReadonlySet<string> = new Set([
  'GET',
  'HEAD',
  'POST',
  'PUT',
  'PATCH',
  'DELETE',
  'OPTIONS',
])
const REQUEST_LINE = /^([A-Za-z0-9!#$%&'*+\-.^_`|~]+) ([\x21-\x7e]+) HTTP\/(\d\.\d)$/
const LENGTH = /^\d{1,15}$/
const HEAD_END = Buffer.from('\r\n\r\n')
const [CR, LF, SP, HTAB, COLON] = [0x0d, 0x0a, 0x20, 0x09, 0x3a]

/** What a byte may be part of. */
const NAME = 1
const VALUE = 2
const BYTES = new Uint8Array(256)
for (let byte = 0; byte < 256; byte += 1) {
  const character = String.fromCharCode(byte)
  if (/[!#$%&'*+\-.^_`|~0-9A-Za-z]/.test(character)) BYTES[byte] = NAME
  // Visible characters, space, tab and the bytes above ASCII (RFC 9110, 5.5).
  if (/[\t\x20-\x7e\x80-\xff]/.test(character)) BYTES[byte] = (BYTES[byte] ?? 0) | VALUE
}

/** Where the head ends, behind its empty line; -1 if the bytes do not hold it whole. */
export function requestHeadEnd(bytes: Buffer, from = 0): number {
  const found = bytes.indexOf(HEAD_END, from)
  return found === -1 ? -1 : found + HEAD_END.length
}

/**
 * Reads the bytes of a whole head, its empty line included. Most clients say the same lines with every
 * request: those of the head before are not read again.
 */
export function parseRequestHead(bytes: Buffer, before?: FieldLines): IncomingHead | HeadRefusal {
  // The empty line is what ends the last field line as well.
  const text = bytes.toString('latin1', 0, bytes.length - 2)
  const lineEnd = text.indexOf('\r\n')
  const [, method, target, version] = REQUEST_LINE.exec(text.slice(0, lineEnd)) ?? []
  if (method === undefined || target === undefined) return malformed('the request line')
  if (version !== '1.1') {
    return { status: 505, problem: 'only HTTP/1.1 and HTTP/2 are served' }
  }
  if (!REQUEST_METHODS.has(method)) {
    const isConnect = method === 'CONNECT'
    return { status: 405, problem: isConnect ? 'CONNECT is not served here' : METHOD_PROBLEM }
  }
  if (target.charCodeAt(0) !== 0x2f) {
    return { status: 400, problem: 'the request target must be a path' }
  }
  const lines = fieldLines(bytes, text.slice(lineEnd + 2), before)
  if ('problem' in lines) return lines
  const wanted = lines.speaksOfUpgrade ? wantedUpgrade(method, lines.headers) : NO_UPGRADE
  if (wanted.kind === 'malformed') return refused(wanted.problem)
  const upgrade = wanted.kind === 'upgrade' ? wanted.protocol : undefined
  return { method, target, upgrade, lines }
}

/** The lines are the last bytes but the empty line. */
function fieldLines(
  bytes: Buffer,
  text: string,
  before: FieldLines | undefined,
): FieldLines | HeadRefusal {
  if (before?.text === text) return before
  const headers: [string, string][] = []
  const start = bytes.length - 2 - text.length
  const end = bytes.length - 2
  let at = start
  while (at < end) {
    const nameAt = at
    while (((BYTES[bytes[at] ?? 0] ?? 0) & NAME) !== 0) at += 1
    if (at === nameAt || bytes[at] !== COLON) return malformed('a header line')
    const name = text.slice(nameAt - start, at - start)
    at += 1
    while (bytes[at] === SP || bytes[at] === HTAB) at += 1
    const valueAt = at
    while (((BYTES[bytes[at] ?? 0] ?? 0) & VALUE) !== 0) at += 1
    if (bytes[at] !== CR || bytes[at + 1] !== LF) return malformed('a header line')
    let valueEnd = at
    while (valueEnd > valueAt && isSpace(bytes[valueEnd - 1])) valueEnd -= 1
    if (headers.length === HEADERS_MAX) {
      return { status: 431, problem: 'there are too many headers' }
    }
    headers.push([name, text.slice(valueAt - start, valueEnd - start)])
    at += 2
  }
  return understood(text, headers)
}

/** What the lines say together about the connection and the body. */
function understood(text: string, headers: HeaderLines): FieldLines | HeadRefusal {
  let host: string | undefined
  let length: string | undefined
  let isChunked = false
  let closes = false
  let expectsContinue = false
  let speaksOfUpgrade = false
  for (const [name, value] of headers) {
    switch (headerName(name).key) {
      case 'host':
        if (host !== undefined) return refused(HOST_PROBLEM)
        host = value
        break
      case 'content-length':
        if (length !== undefined) return refused(FRAMING_PROBLEM)
        if (!LENGTH.test(value)) return malformed('the content length')
        length = value
        break
      case 'transfer-encoding':
        if (isChunked) return refused(FRAMING_PROBLEM)
        if (value.toLowerCase() !== 'chunked') {
          return refused('the only transfer encoding is chunked')
        }
        isChunked = true
        break
      case 'connection':
        closes ||= /(?:^|,)[ \t]*close[ \t]*(?:,|$)/i.test(value)
        speaksOfUpgrade ||= /upgrade/i.test(value)
        break
      case 'upgrade':
        speaksOfUpgrade = true
        break
      case 'expect':
        if (value.toLowerCase() !== '100-continue') {
          return { status: 417, problem: 'the only expectation is 100-continue' }
        }
        expectsContinue = true
        break
      default:
    }
  }
  if (host === undefined || host === '') return refused(HOST_PROBLEM)
  if (length !== undefined && isChunked) return refused(FRAMING_PROBLEM)
  const bodyBytes = isChunked ? 'chunked' : Number(length ?? 0)
  return { text, headers, host, bodyBytes, closes, expectsContinue, speaksOfUpgrade }
}

const NO_UPGRADE = { kind: 'none' } as const

const METHOD_PROBLEM = 'the method is not allowed'
const HOST_PROBLEM = 'exactly one Host header is needed'
const FRAMING_PROBLEM = 'the body has more than one framing'

function isSpace(byte: number | undefined): boolean {
  return byte === SP || byte === HTAB
}

function malformed(what: string): HeadRefusal {
  return refused(`${what} is malformed`)
}

function refused(problem: string): HeadRefusal {
  return { status: 400, problem }
}
