import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  constants,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
  sensitiveHeaders,
} from 'node:http2'
import {
  HttpSyntaxError,
  type OutgoingRequest,
  type ResponseHead,
  toResponseHead,
} from '@postern/kube-http'
import type { Exchange, ExchangeReceiver } from './exchange.ts'
import { UpstreamError } from './upstream-error.ts'

/** One request without a body, as a stream of HTTP/2. */
export class StreamExchange implements Exchange {
  readonly #stream: ClientHttp2Stream
  readonly #receiver: ExchangeReceiver
  readonly #told: { onOver(): void; onUnanswered(): void }
  #isAnswered = false
  #isAborted = false

  constructor(
    session: ClientHttp2Session,
    request: OutgoingRequest,
    receiver: ExchangeReceiver,
    told: { onOver(): void; onUnanswered(): void },
  ) {
    this.#receiver = receiver
    this.#told = told
    const stream = session.request(toHeaders(request), { endStream: true })
    this.#stream = stream
    stream.on('response', (headers) => this.#onResponse(headers))
    stream.on('data', (chunk: Buffer) => {
      if (!this.#isAborted) receiver.onResponseBytes(chunk)
    })
    // Every end and error leads to its close, which says by its code what it was.
    stream.on('error', () => {})
    stream.on('close', () => this.#onClose())
    receiver.onReady(this)
  }

  /** It has no body. */
  write(): boolean {
    return true
  }

  end(): void {}

  pause(): void {
    this.#stream.pause()
  }

  resume(): void {
    this.#stream.resume()
  }

  abort(): void {
    this.#isAborted = true
    this.#stream.close(constants.NGHTTP2_CANCEL)
  }

  #onResponse(headers: IncomingHttpHeaders): void {
    if (this.#isAborted) return
    this.#isAnswered = true
    const head = toHead(headers)
    if (head !== undefined) {
      this.#receiver.onResponse(head)
      return
    }
    this.abort()
    this.#receiver.onFailure(new UpstreamError('lost', 'kube-apiserver broke HTTP'))
  }

  #onClose(): void {
    this.#told.onOver()
    if (this.#isAborted) return
    if (!this.#isAnswered) this.#told.onUnanswered()
    else if (this.#stream.rstCode === constants.NGHTTP2_NO_ERROR) this.#receiver.onResponseEnd()
    else this.#receiver.onFailure(new UpstreamError('lost', 'kube-apiserver broke off the answer'))
  }
}

function toHeaders({ method, target, headers }: OutgoingRequest): OutgoingHttpHeaders {
  const all: Record<string, string | string[]> = {
    [constants.HTTP2_HEADER_METHOD]: method,
    [constants.HTTP2_HEADER_PATH]: target,
    [constants.HTTP2_HEADER_SCHEME]: 'https',
  }
  for (const [name, value] of headers.flatMap(({ lines }) => lines)) {
    const lower = name.toLowerCase()
    const key = lower === 'host' ? constants.HTTP2_HEADER_AUTHORITY : lower
    const known = all[key]
    all[key] = known === undefined ? value : [...(Array.isArray(known) ? known : [known]), value]
  }
  // RFC 7541, 7.1.3: a credential stays out of the table that all streams share.
  return { ...all, [sensitiveHeaders]: ['authorization'] }
}

/** `undefined` where it is malformed. */
function toHead(headers: IncomingHttpHeaders): ResponseHead | undefined {
  const lines: [string, string][] = []
  for (const [name, value] of Object.entries(headers)) {
    if (name.startsWith(':') || value === undefined) continue
    for (const one of Array.isArray(value) ? value : [value]) lines.push([name, one])
  }
  try {
    return toResponseHead(Number(headers[':status']), lines)
  } catch (error) {
    if (error instanceof HttpSyntaxError) return undefined
    throw error
  }
}
