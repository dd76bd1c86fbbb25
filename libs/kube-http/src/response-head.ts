import type { ResponseHead } from './head.ts'
import { type HeaderLines, isFieldValue } from './header-lines.ts'
import { headerName } from './header-names.ts'
import { isEndToEnd } from './response-headers.ts'

/*
 * The head of an answer, read strictly and in one walk (RFC 9112, 4 to 6 and 9.6):
 *
 *   status-line CRLF *( field-name ":" OWS field-value OWS CRLF )
 *
 * - A line that begins with a space (obs-fold), a space before the colon, a bare CR or LF and any other
 *   control character make it no head at all.
 * - How long the body is, is said once, and so that no two readers take it for two lengths.
 * - What is said to the next hop only is understood here, and is no part of what goes on.
 */

/** The other side does not speak HTTP/1.1 as RFC 9112 has it. The connection is of no more use. */
export class HttpSyntaxError extends Error {
  override readonly name = 'HttpSyntaxError'
}

export type ResponseFraming =
  | { readonly kind: 'none' }
  | { readonly kind: 'length'; readonly bytes: number }
  | { readonly kind: 'chunked' }
  | { readonly kind: 'until-close' }

export type ReceivedHead = {
  /** With the lines for whoever asked. */
  readonly head: ResponseHead
  readonly framing: ResponseFraming
  /** No other request goes over the connection. */
  readonly closes: boolean
  /** What the connection becomes by a 101, as written. */
  readonly upgrade: string | undefined
}

const HEADERS_MAX = 1000
const STATUS_LINE = /^HTTP\/1\.1 ([1-5]\d\d)(?: [\t\x20-\x7e\x80-\xff]*)?$/
const LENGTH = /^\d{1,15}$/
const CRLF = '\r\n'
const TAB = 0x09
const SPACE = 0x20

/** Reads the answer to a request of that method: its head, without the empty line. @throws HttpSyntaxError */
export function parseResponseHead(text: string, method: string): ReceivedHead {
  let end = lineEnd(text, 0)
  const code = STATUS_LINE.exec(text.slice(0, end))?.[1]
  if (code === undefined) throw new HttpSyntaxError('malformed status line')
  const headers: (readonly [string, string])[] = []
  let framing: ResponseFraming | undefined
  let closes = false
  let upgrade: string | undefined
  for (let lines = 0; end < text.length; lines += 1) {
    if (lines === HEADERS_MAX) throw new HttpSyntaxError('too many headers')
    const start = end + CRLF.length
    end = lineEnd(text, start)
    const { known, value } = parseFieldLine(text, start, end)
    switch (known.key) {
      case 'content-length':
        framing = saidOnce(framing, lengthFraming(value))
        break
      case 'transfer-encoding':
        framing = saidOnce(framing, encodingFraming(value))
        break
      case 'connection':
        closes ||= value.split(',').some((token) => token.trim().toLowerCase() === 'close')
        break
      case 'upgrade':
        upgrade = upgrade === undefined ? value : `${upgrade}, ${value}`
        break
      default:
    }
    if (isEndToEnd(known)) headers.push([known.name, value])
  }
  const status = Number(code)
  if (method === 'HEAD' || status === 204 || status === 304) framing = { kind: 'none' }
  return {
    head: { status, headers },
    framing: framing ?? { kind: 'until-close' },
    closes,
    upgrade,
  }
}

/** The same of an answer whose lines came apart, over HTTP/2. @throws HttpSyntaxError */
export function toResponseHead(status: number, lines: HeaderLines): ResponseHead {
  if (!(status >= 200 && status <= 599)) throw new HttpSyntaxError('malformed status')
  const headers = lines.filter(([name, value]) => {
    const known = headerName(name)
    if (!known.isToken || !isFieldValue(value)) throw new HttpSyntaxError('malformed header')
    return isEndToEnd(known)
  })
  return { status, headers }
}

/** @throws HttpSyntaxError */
export function checkTrailer(line: string): void {
  parseFieldLine(line, 0, line.length)
}

function lineEnd(text: string, from: number): number {
  const end = text.indexOf(CRLF, from)
  return end === -1 ? text.length : end
}

function parseFieldLine(text: string, start: number, end: number) {
  const colon = text.indexOf(':', start)
  if (colon === -1 || colon > end) throw new HttpSyntaxError('a line without a colon')
  const known = headerName(text.slice(start, colon))
  if (!known.isToken) throw new HttpSyntaxError('malformed header name')
  let from = colon + 1
  let to = end
  while (from < to && isBlank(text.charCodeAt(from))) from += 1
  while (to > from && isBlank(text.charCodeAt(to - 1))) to -= 1
  const value = text.slice(from, to)
  if (!isFieldValue(value)) throw new HttpSyntaxError('malformed header value')
  return { known, value }
}

const isBlank = (code: number): boolean => code === SPACE || code === TAB

function saidOnce(before: ResponseFraming | undefined, now: ResponseFraming): ResponseFraming {
  if (before !== undefined) throw new HttpSyntaxError('more than one framing')
  return now
}

function lengthFraming(value: string): ResponseFraming {
  if (!LENGTH.test(value)) throw new HttpSyntaxError('malformed content length')
  return { kind: 'length', bytes: Number(value) }
}

function encodingFraming(value: string): ResponseFraming {
  if (value.toLowerCase() !== 'chunked') throw new HttpSyntaxError('unknown transfer encoding')
  return { kind: 'chunked' }
}
