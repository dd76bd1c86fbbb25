import { constants, type Http2Session, type ServerHttp2Stream } from 'node:http2'
import type { Duplex } from 'node:stream'
import {
  type HeaderLines,
  headerName,
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
  const { method, target, authority: named, protocol, end } = readPseudo(rawHeaders)
  const { serverName, memory } = peer
  const before = memory.lines
  const isSaidAgain = before !== undefined && areSame(before.headers, rawHeaders, end)
  const lines = isSaidAgain ? before.headers : toHeaderLines(rawHeaders.slice(end))
  // Node's h2 server lets any text through as a method.
  if (!REQUEST_METHODS.has(method)) return { status: 405, error: 'the method is not allowed' }
  if (protocol !== undefined) return { status: 400, error: 'extended CONNECT is not served' }
  if (!target.startsWith('/')) return { status: 400, error: 'the request target must be a path' }
  const hosts = lines.filter(([name]) => name === 'host').map(([, value]) => value)
  const authority = named ?? hosts[0]
  if (authority === undefined || hosts.some((host) => host !== authority)) {
    return { status: 400, error: 'Host and :authority must agree' }
  }
  if (hosts.length > 1) return { status: 400, error: 'there is more than one Host header' }
  const head: FrontHead = {
    protocol: 'h2',
    method,
    target,
    authority,
    serverName,
    lines: clientLines(lines, peer),
    upgrade: undefined,
    memory,
  }
  return { head }
}

/** nghttp2 has seen to it that each is said once at most, and before all other lines (RFC 9113, 8.3). */
function readPseudo(rawHeaders: readonly string[]) {
  let method = ''
  let target = ''
  let authority: string | undefined
  let protocol: string | undefined
  let end = 0
  for (let name = rawHeaders[0]; name?.startsWith(':') === true; name = rawHeaders[end]) {
    const value = rawHeaders[end + 1] ?? ''
    end += 2
    switch (name) {
      case ':method':
        method = value
        break
      case ':path':
        target = value
        break
      case ':authority':
        authority = value
        break
      case ':protocol':
        protocol = value
        break
      default:
    }
  }
  return { method, target, authority, protocol, end }
}

function areSame(lines: HeaderLines, rawHeaders: readonly string[], from: number): boolean {
  if (rawHeaders.length - from !== 2 * lines.length) return false
  return lines.every(
    ([name, value], at) =>
      rawHeaders[from + 2 * at] === name && rawHeaders[from + 2 * at + 1] === value,
  )
}

/** A request that is one stream of an h2 connection. */
export class Http2Exchange implements FrontRequest {
  readonly head: FrontHead
  readonly #stream: ServerHttp2Stream
  readonly #session: Http2Session | undefined
  readonly #hasBody: boolean
  #listener: ClientListener | undefined
  /** Node has all of the answer: maybe with its head, where such an answer has no body. */
  #isWhole = false
  #end: 'out' | 'gone' | undefined

  constructor(head: FrontHead, stream: ServerHttp2Stream, { hasBody }: { hasBody: boolean }) {
    this.head = head
    this.#stream = stream
    this.#session = stream.session
    this.#hasBody = hasBody
    // Errors of a reset stream arrive here; `close` follows and says all there is to say.
    stream.on('error', () => {})
    stream.on('close', () => this.#onClose())
    if (!hasBody) stream.on('end', () => this.#onOver())
  }

  get gone(): boolean {
    return this.#end === 'gone'
  }

  get responded(): boolean {
    return this.#stream.headersSent
  }

  listen(listener: ClientListener): void {
    if (this.#listener !== undefined) throw new Error('somebody listens already')
    if (this.gone) {
      listener.onGone()
      return
    }
    this.#listener = listener
    const stream = this.#stream
    if (this.#hasBody) {
      stream.on('finish', () => this.#onFinish())
      // Reset without an error: Node would wait until what is held up of the body is read.
      stream.on('aborted', () => stream.destroy())
      stream.on('end', () => this.#listener?.onBodyEnd())
      stream.on('data', (chunk: Buffer) => this.#listener?.onBody(chunk))
    } else {
      listener.onBodyEnd()
    }
  }

  pause(): void {
    if (this.#hasBody) this.#stream.pause()
  }

  resume(): void {
    if (this.#hasBody) this.#stream.resume()
  }

  respond({ status, headers }: ResponseHead): void {
    if (!canRespond(this.#stream)) return
    this.#stream.respond(toRawHeaders(status, headers))
    this.#isWhole = this.#stream.writableEnded
  }

  write(chunk: Buffer): boolean {
    const stream = this.#stream
    const isTaken = !stream.writable || stream.write(Buffer.from(chunk))
    if (!isTaken && stream.listenerCount('drain') === 0) {
      stream.once('drain', () => this.#listener?.onAnswerDrain())
    }
    return isTaken
  }

  end(): void {
    this.#isWhole = true
    this.#stream.end()
  }

  answer(head: ResponseHead, body: Uint8Array, { close = false } = {}): void {
    const stream = this.#stream
    this.#listener = undefined
    if (!canRespond(stream)) return
    const headers = head.headers.filter(([name]) => name.toLowerCase() !== 'content-length')
    const length = ['content-length', String(body.byteLength)] as const
    this.respond({ status: head.status, headers: [...headers, length] })
    stream.end(this.head.method === 'HEAD' ? undefined : body)
    this.#dropBody()
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

  /** What is left of it is for nobody. */
  #dropBody(): void {
    if (this.#hasBody && !this.#stream.readableEnded) this.#stream.resume()
  }

  /**
   * Of a request without a body: nghttp2 is done with it, for the last frame is out, or its client has reset
   * it without an error. Its end is left unread until then: Node makes an error, with its stack, for a
   * stream that was read to its end and is closed while the answer is still being written.
   */
  #onOver(): void {
    this.#settle(this.#isWhole ? 'out' : 'gone')
    // What was reset is never written: Node would wait for it.
    setImmediate(() => this.#stream.destroy())
  }

  #onFinish(): void {
    // Node ends a stream by itself that its client reset without an error: nothing was sent whole.
    if (!this.#isWhole) return
    this.#dropBody()
    this.#settle('out')
  }

  #onClose(): void {
    // Once the last frame is out Node may close a stream without saying that it has finished.
    const isDone = this.#isWhole && this.#stream.rstCode === constants.NGHTTP2_NO_ERROR
    this.#settle(isDone && this.#session?.destroyed === false ? 'out' : 'gone')
  }

  #settle(end: 'out' | 'gone'): void {
    if (this.#end !== undefined) return
    this.#end = end
    const listener = this.#listener
    this.#listener = undefined
    if (end === 'out') listener?.onSent()
    else listener?.onGone()
  }
}

/** Answers without looking further; used where the head itself is wrong. */
export function refuseStream(stream: ServerHttp2Stream, status: number, text: string): void {
  stream.on('error', () => {})
  if (!canRespond(stream)) return
  const headers: HeaderLines = [
    ['content-type', 'text/plain; charset=utf-8'],
    ['x-content-type-options', 'nosniff'],
  ]
  stream.respond(toRawHeaders(status, headers))
  stream.end(text)
  stream.resume()
}

/** Node throws otherwise: a stream can be reset in the packet that opens it, before anybody hears of it. */
function canRespond(stream: ServerHttp2Stream): boolean {
  return !(stream.headersSent || stream.closed || stream.destroyed)
}

/** As Node takes them with the least work. Lines for the next hop never leave (RFC 9113, 8.2.2). */
function toRawHeaders(status: number, lines: HeaderLines): readonly string[] {
  const raw = [':status', String(status)]
  for (const [name, value] of lines) {
    const { key, isHopByHop } = headerName(name)
    if (!isHopByHop) raw.push(key, value)
  }
  return raw
}
