import {
  constants,
  type Http2Session,
  type OutgoingHttpHeaders,
  type ServerHttp2Stream,
} from 'node:http2'
import type { Duplex } from 'node:stream'
import {
  type HeaderLines,
  REQUEST_METHODS,
  type ResponseHead,
  toHeaderLines,
} from '@postern/kube-http'
import { clientLines } from './client-lines.ts'
import type { ClientListener, FrontHead, FrontRequest } from './front-interface.ts'
import type { Peer } from './peer.ts'

/** The head of an h2 stream, or what is wrong with it. nghttp2 has checked the syntax. */
export function parseHttp2Head(
  rawHeaders: readonly string[],
  peer: Peer,
): { head: FrontHead } | { error: string; status: number } {
  const pseudo = new Map<string, string>()
  const lines: [string, string][] = []
  for (const [name, value] of toHeaderLines(rawHeaders)) {
    if (!name.startsWith(':')) lines.push([name, value])
    else if (pseudo.has(name)) return { status: 400, error: 'a pseudo header is repeated' }
    else pseudo.set(name, value)
  }
  const method = pseudo.get(':method') ?? ''
  // Node's h2 server lets any text through as a method.
  if (!REQUEST_METHODS.has(method)) return { status: 405, error: 'the method is not allowed' }
  if (pseudo.has(':protocol')) return { status: 400, error: 'extended CONNECT is not served' }
  const target = pseudo.get(':path') ?? ''
  if (!target.startsWith('/')) return { status: 400, error: 'the request target must be a path' }
  const hosts = lines.filter(([name]) => name === 'host').map(([, value]) => value)
  const authority = pseudo.get(':authority') ?? hosts[0]
  if (authority === undefined || hosts.some((host) => host !== authority)) {
    return { status: 400, error: 'Host and :authority must agree' }
  }
  if (hosts.length > 1) return { status: 400, error: 'there is more than one Host header' }
  const { serverName, memory } = peer
  const before = memory.lines
  const head: FrontHead = {
    protocol: 'h2',
    method,
    target,
    authority,
    serverName,
    lines:
      before !== undefined && areSame(before.headers, lines) ? before : clientLines(lines, peer),
    upgrade: undefined,
    memory,
  }
  return { head }
}

function areSame(some: HeaderLines, others: HeaderLines): boolean {
  if (some.length !== others.length) return false
  return some.every(([name, value], at) => {
    const other = others[at]
    return other?.[0] === name && other[1] === value
  })
}

/** A request that is one stream of an h2 connection. */
export class Http2Exchange implements FrontRequest {
  readonly head: FrontHead
  readonly #stream: ServerHttp2Stream
  readonly #session: Http2Session | undefined
  #listener: ClientListener | undefined
  #isGone = false
  #isEnded = false

  constructor(head: FrontHead, stream: ServerHttp2Stream) {
    this.head = head
    this.#stream = stream
    this.#session = stream.session
    // Errors of a reset stream arrive here; `close` follows and says all there is to say.
    stream.on('error', () => {})
    stream.on('close', () => this.#onClose())
  }

  get gone(): boolean {
    return this.#isGone
  }

  get responded(): boolean {
    return this.#stream.headersSent
  }

  listen(listener: ClientListener): void {
    if (this.#listener !== undefined) throw new Error('somebody listens already')
    if (this.#isGone) {
      listener.onGone()
      return
    }
    this.#listener = listener
    const stream = this.#stream
    stream.on('drain', () => this.#listener?.onAnswerDrain())
    stream.on('finish', () => this.#onFinish())
    stream.on('end', () => this.#listener?.onBodyEnd())
    stream.on('data', (chunk: Buffer) => this.#listener?.onBody(chunk))
  }

  pause(): void {
    this.#stream.pause()
  }

  resume(): void {
    this.#stream.resume()
  }

  respond({ status, headers }: ResponseHead): void {
    if (this.#stream.headersSent || this.#stream.destroyed) return
    this.#stream.respond(toHttp2Headers(status, headers))
  }

  write(chunk: Buffer): boolean {
    return this.#stream.writable ? this.#stream.write(Buffer.from(chunk)) : true
  }

  end(): void {
    this.#isEnded = true
    this.#stream.end()
  }

  answer(head: ResponseHead, body: Uint8Array, { close = false } = {}): void {
    const stream = this.#stream
    this.#listener = undefined
    const headers = head.headers.filter(([name]) => name.toLowerCase() !== 'content-length')
    const length = ['content-length', String(body.byteLength)] as const
    this.respond({ status: head.status, headers: [...headers, length] })
    stream.end(this.head.method === 'HEAD' ? undefined : body)
    if (!stream.readableEnded) stream.resume()
    if (close) stream.session?.close()
  }

  switchProtocols(): Duplex {
    throw new Error('h2 has no upgrades')
  }

  abort(): void {
    this.#listener = undefined
    // `close` would end it clean first.
    this.#stream.destroy(new Error('the answer is not complete'))
  }

  #onFinish(): void {
    // Node ends a stream by itself that its client reset without an error: nothing was sent whole.
    if (!this.#isEnded) return
    if (!this.#stream.readableEnded) this.#stream.resume()
    const listener = this.#listener
    this.#listener = undefined
    listener?.onSent()
  }

  #onClose(): void {
    const listener = this.#listener
    this.#listener = undefined
    this.#isGone = true
    if (this.#isOut) listener?.onSent()
    else listener?.onGone()
  }

  /** Once its last frame is out Node may close a stream without saying that it has finished. */
  get #isOut(): boolean {
    if (!this.#isEnded || this.#session?.destroyed !== false) return false
    return this.#stream.rstCode === constants.NGHTTP2_NO_ERROR
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
