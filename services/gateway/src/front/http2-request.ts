import { constants, type OutgoingHttpHeaders, type ServerHttp2Stream } from 'node:http2'
import { type HeaderLines, toHeaderLines } from '@postern/kube-http'
import type { FrontHead, FrontRequest } from './front-interface.ts'

const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])

/** The head of an h2 stream, or what is wrong with it. nghttp2 has checked the syntax. */
export function parseHttp2Head(
  rawHeaders: readonly string[],
  connection: { serverName: string | undefined; remoteAddress: string },
): { head: FrontHead } | { error: string; status: number } {
  const pseudo = new Map<string, string>()
  const headers: [string, string][] = []
  for (const [name, value] of toHeaderLines(rawHeaders)) {
    if (!name.startsWith(':')) headers.push([name, value])
    else if (pseudo.has(name)) return { status: 400, error: 'a pseudo header is repeated' }
    else pseudo.set(name, value)
  }
  const method = pseudo.get(':method') ?? ''
  // Node's h2 server lets any text through as a method.
  if (!METHODS.has(method)) return { status: 405, error: 'the method is not allowed' }
  if (pseudo.has(':protocol')) return { status: 400, error: 'extended CONNECT is not served' }
  const target = pseudo.get(':path') ?? ''
  if (!target.startsWith('/')) return { status: 400, error: 'the request target must be a path' }
  const hosts = headers.filter(([name]) => name === 'host').map(([, value]) => value)
  const authority = pseudo.get(':authority') ?? hosts[0]
  if (authority === undefined || hosts.some((host) => host !== authority)) {
    return { status: 400, error: 'Host and :authority must agree' }
  }
  if (hosts.length > 1) return { status: 400, error: 'there is more than one Host header' }
  const head: FrontHead = {
    protocol: 'h2',
    method,
    target,
    authority,
    serverName: connection.serverName,
    headers,
    remoteAddress: connection.remoteAddress,
    upgrade: undefined,
  }
  return { head }
}

/** A request that is one stream of an h2 connection. */
export function http2Request(head: FrontHead, stream: ServerHttp2Stream): FrontRequest {
  const gone = new AbortController()
  let complete = false
  // Errors of a reset stream arrive here; `close` follows and says all there is to say.
  stream.on('error', () => {})
  stream.on('finish', () => {
    complete = true
  })
  stream.on('close', () => {
    if (!complete || stream.rstCode !== constants.NGHTTP2_NO_ERROR) gone.abort()
  })
  const respond = (status: number, headers: HeaderLines) => {
    if (stream.headersSent || stream.destroyed) return stream
    stream.respond(toHttp2Headers(status, headers))
    return stream
  }
  return {
    head,
    body: stream,
    gone: gone.signal,
    respond: ({ status, headers }) => respond(status, headers),
    answer({ status, headers }, body, { close = false } = {}) {
      const lines: HeaderLines = [...headers, ['content-length', String(body.byteLength)]]
      respond(status, lines).end(head.method === 'HEAD' ? undefined : body)
      if (!stream.readableEnded) stream.resume()
      if (close) stream.session?.close()
    },
    switchProtocols() {
      throw new Error('h2 has no upgrades')
    },
    abort: () => stream.close(constants.NGHTTP2_INTERNAL_ERROR),
    get responded() {
      return stream.headersSent
    },
  }
}

/** Answers without looking further; used where the head itself is wrong. */
export function refuseStream(stream: ServerHttp2Stream, status: number, text: string): void {
  stream.on('error', () => {})
  if (stream.destroyed || stream.headersSent) return
  const headers: HeaderLines = [
    ['content-type', 'text/plain; charset=utf-8'],
    ['x-content-type-options', 'nosniff'],
  ]
  stream.respond(toHttp2Headers(status, headers))
  stream.end(text)
  stream.resume()
}

/** Header names that HTTP/2 forbids never leave (RFC 9113, 8.2.2). */
const FORBIDDEN = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
])

function toHttp2Headers(status: number, lines: HeaderLines): OutgoingHttpHeaders {
  const headers: Record<string, string | string[]> = {}
  for (const [name, value] of lines) {
    const key = name.toLowerCase()
    if (FORBIDDEN.has(key)) continue
    const known = headers[key]
    if (known === undefined) headers[key] = value
    else headers[key] = [...(Array.isArray(known) ? known : [known]), value]
  }
  return { ...headers, ':status': status }
}
