import type { Duplex } from 'node:stream'
import type { ResponseHead } from '@postern/kube-http'
import { type AnswerFraming, withLength } from './answer-framing.ts'
import type { ClientListener, FrontHead, FrontRequest } from './front-interface.ts'
import type { Http2Stream } from './http2-stream.ts'

/** A request that is one stream of a connection of HTTP/2. */
export class Http2Exchange implements FrontRequest {
  readonly head: FrontHead
  readonly #stream: Http2Stream
  readonly #close: () => void

  /** `close` lets the connection take no more streams. */
  constructor(head: FrontHead, stream: Http2Stream, close: () => void) {
    this.head = head
    this.#stream = stream
    this.#close = close
  }

  get gone(): boolean {
    return this.#stream.gone
  }

  get responded(): boolean {
    return this.#stream.responded
  }

  listen(listener: ClientListener): void {
    this.#stream.listen(listener)
  }

  pause(): void {
    this.#stream.pause()
  }

  resume(): void {
    this.#stream.resume()
  }

  respond(head: ResponseHead): AnswerFraming {
    return this.#stream.respond(head)
  }

  write(chunk: Buffer): boolean {
    return this.#stream.write(chunk)
  }

  end(): void {
    this.#stream.end()
  }

  answer(head: ResponseHead, body: Uint8Array, { close = false } = {}): void {
    if (this.gone || this.responded) return
    this.#stream.mute()
    this.respond(withLength(head, body.byteLength))
    this.#stream.write(Buffer.from(body.buffer, body.byteOffset, body.byteLength))
    this.#stream.end()
    if (close) this.#close()
  }

  switchProtocols(): Duplex {
    throw new Error('HTTP/2 has no upgrades')
  }

  abort(): void {
    this.#stream.abort()
  }
}
