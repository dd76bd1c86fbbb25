import type { UpgradeProtocol } from './head.ts'
import { HeadError } from './head-codec.ts'
import { type HeaderLines, isFieldValue } from './header-lines.ts'
import { headerName } from './header-names.ts'
import { contentLengthOf } from './request-headers.ts'

/** How the body of a request is delimited. Written by whoever writes the request, never copied. */
export type RequestFraming =
  | { readonly kind: 'none' }
  | { readonly kind: 'length'; readonly bytes: number }
  | { readonly kind: 'chunked' }
  | { readonly kind: 'upgrade'; readonly protocol: UpgradeProtocol }

/** Header lines that were checked, without framing and hop-by-hop headers, and how they are written. */
export type PreparedLines = { readonly lines: HeaderLines; readonly text: string }

export type OutgoingRequest = {
  readonly method: string
  readonly target: string
  /** One after the other: what many requests share is prepared once. */
  readonly headers: readonly PreparedLines[]
  readonly framing: RequestFraming
}

const METHOD = /^[A-Z]{1,20}$/
const TARGET = /^\/[\x21-\x7e]*$/
/** By RFC 9110 their bodies mean nothing; one is sent only if its length is known before. */
const WITHOUT_BODY = new Set(['GET', 'HEAD', 'OPTIONS'])
const CRLF = Buffer.from('\r\n')
const LAST_CHUNK = Buffer.from('0\r\n\r\n')

/** How to frame a body of which the head says at most its length. @throws HeadError */
export function framingFor(method: string, headers: HeaderLines): RequestFraming {
  const length = contentLengthOf(headers)
  if (length === undefined) throw new HeadError('malformed content length')
  if (length !== 'none') return { kind: 'length', bytes: length }
  return WITHOUT_BODY.has(method) ? { kind: 'none' } : { kind: 'chunked' }
}

/** A request's head, one character a byte. @throws HeadError if a part of it could end or split the head */
export function writeRequestHead(request: OutgoingRequest): string {
  const { method, target, headers, framing } = request
  if (!METHOD.test(method)) throw new HeadError('malformed method')
  if (!TARGET.test(target)) throw new HeadError('malformed target')
  let head = `${method} ${target} HTTP/1.1\r\n`
  for (const { text } of headers) head += text
  return `${head}${framingLines(framing)}\r\n`
}

/** @throws HeadError if a line could end or split the head */
export function prepareLines(headers: HeaderLines): PreparedLines {
  let text = ''
  const lines = headers.filter(([name, value]) => {
    const { isToken, isHopByHop, key } = headerName(name)
    if (!isToken) throw new HeadError('malformed header name')
    if (!isFieldValue(value)) throw new HeadError('malformed header value')
    if (isHopByHop || key === 'content-length') return false
    text += `${name}: ${value}\r\n`
    return true
  })
  return { lines, text }
}

/** One chunk of a chunked body; nothing for no bytes, which would end it. */
export function writeChunk(chunk: Uint8Array): readonly Uint8Array[] {
  if (chunk.length === 0) return []
  return [Buffer.from(`${chunk.length.toString(16)}\r\n`, 'latin1'), chunk, CRLF]
}

/** The end of a chunked body, without trailers. */
export const lastChunk = (): Buffer => LAST_CHUNK

function framingLines(framing: RequestFraming): string {
  switch (framing.kind) {
    case 'none':
      return ''
    case 'length':
      return `Content-Length: ${framing.bytes}\r\n`
    case 'chunked':
      return 'Transfer-Encoding: chunked\r\n'
    case 'upgrade':
      return `Connection: Upgrade\r\nUpgrade: ${framing.protocol}\r\n`
  }
}
