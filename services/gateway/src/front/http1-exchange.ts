import type { Duplex } from 'node:stream'
import type { HeaderLines, IncomingHead, ResponseHead } from '@postern/kube-http'
import { AnswerBatch } from './answer-batch.ts'
import { type AnswerFraming, framingOf, NO_BODY, withLength } from './answer-framing.ts'
import { clientLines } from './client-lines.ts'
import type { ClientListener, FrontHead, FrontRequest } from './front-interface.ts'
import { httpDate } from './http-date.ts'
import { bodyEnd, framed, writeAnswerHead, writeSwitchingHead } from './http1-answer.ts'
import type { Peer } from './peer.ts'

/** What a request needs of its connection. */
export type ExchangeHost = {
  readonly socket: Duplex
  /** The body may move, or must not. */
  bodyMoves(): void
  /** The answer is written: the next request may be read, or the connection is done. */
  answered(exchange: Http1Exchange): void
  /** Whether no request is read behind this one. */
  isLast(exchange: Http1Exchange): boolean
  /** Calls `flush` before the event loop goes on. */
  flushSoon(exchange: Http1Exchange): void
  /** The connection is nobody's any more. */
  handOver(): Duplex
}

/** One request on a connection, and its answer. */
export class Http1Exchange implements FrontRequest {
  readonly head: FrontHead
  readonly incoming: IncomingHead
  readonly #host: ExchangeHost
  #listener: ClientListener | undefined
  #isPaused = false
  #isGone = false
  #framing: AnswerFraming | undefined
  #isEnded = false
  #closes = false
  #bodyIsThere: boolean
  readonly #batch: AnswerBatch

  constructor(incoming: IncomingHead, peer: Peer, host: ExchangeHost) {
    this.head = toFrontHead(incoming, peer)
    this.incoming = incoming
    this.#host = host
    this.#batch = new AnswerBatch(host.socket)
    this.#bodyIsThere = incoming.lines.bodyBytes === 0
  }

  get gone(): boolean {
    return this.#isGone
  }

  get responded(): boolean {
    return this.#framing !== undefined
  }

  /** The answer is written to its end: what is left of the body is for nobody. */
  get ended(): boolean {
    return this.#isEnded
  }

  /** The answer said that it is the last. */
  get closes(): boolean {
    return this.#closes
  }

  /** Somebody takes the body now. */
  get wantsBody(): boolean {
    return this.#listener !== undefined && !this.#isPaused && !this.#isGone
  }

  listen(listener: ClientListener): void {
    if (this.#listener !== undefined) throw new Error('somebody listens already')
    if (this.#isGone) {
      listener.onGone()
      return
    }
    this.#listener = listener
    if (this.#bodyIsThere) listener.onBodyEnd()
    else this.#host.bodyMoves()
  }

  pause(): void {
    this.#isPaused = true
  }

  resume(): void {
    if (!this.#isPaused) return
    this.#isPaused = false
    this.#host.bodyMoves()
  }

  respond(head: ResponseHead): AnswerFraming {
    if (this.#isGone || this.responded) return NO_BODY
    const framing = this.#begin(head)
    this.#host.flushSoon(this)
    return framing
  }

  write(chunk: Buffer): boolean {
    if (this.#framing === undefined || this.#isGone || this.#isEnded) return true
    // A chunk of no bytes would be the last.
    if (chunk.length > 0) {
      for (const part of framed(this.#framing, chunk)) this.#batch.add(part)
      this.#host.flushSoon(this)
    }
    return !this.#host.socket.writableNeedDrain
  }

  end(): void {
    if (this.#framing === undefined || this.#isGone || this.#isEnded) return
    for (const part of bodyEnd(this.#framing)) this.#batch.add(part)
    this.#finish(() => this.#onSent())
  }

  answer(head: ResponseHead, body: Uint8Array, { close = false } = {}): void {
    if (this.#isGone || this.responded) return
    this.#listener = undefined
    this.#closes = close
    const framing = this.#begin(withLength(head, body.byteLength))
    if (framing.kind !== 'none')
      this.#batch.add(Buffer.from(body.buffer, body.byteOffset, body.byteLength))
    this.#finish()
  }

  switchProtocols(headers: HeaderLines): Duplex {
    if (this.head.upgrade === undefined) throw new Error('a plain request is not an upgrade')
    this.#framing = NO_BODY
    this.#isEnded = true
    const { socket } = this.#host
    socket.write(writeSwitchingHead(headers), 'latin1')
    return this.#host.handOver()
  }

  abort(): void {
    // Or a client might take it for a request that was not even read, and send it again.
    this.flush()
    this.#listener = undefined
    this.#isGone = true
    this.#host.socket.destroy()
  }

  /** Writes what was said. */
  flush(onSent?: () => void): void {
    if (!this.#isGone) this.#batch.flush(onSent)
  }

  // What the connection calls.

  onBody(chunk: Buffer): void {
    this.#listener?.onBody(chunk)
  }

  onBodyEnd(): void {
    this.#bodyIsThere = true
    this.#listener?.onBodyEnd()
  }

  onDrain(): void {
    if (!this.#isEnded) this.#listener?.onAnswerDrain()
  }

  /** The connection is gone, or nothing of it can be believed any more. */
  onGone(): void {
    if (this.#isGone) return
    this.#isGone = true
    const listener = this.#listener
    this.#listener = undefined
    listener?.onGone()
  }

  #begin(head: ResponseHead): AnswerFraming {
    this.#closes ||= this.#host.isLast(this)
    const framing = framingOf(this.head.method, head)
    const facts = { closes: this.#closes, date: httpDate() }
    const text = writeAnswerHead(head, framing, facts)
    this.#batch.expect(text.length + (framing.kind === 'length' ? framing.bytes : 0))
    this.#batch.add(text)
    this.#framing = framing
    return framing
  }

  #finish(onSent?: () => void): void {
    this.#isEnded = true
    this.flush(onSent)
    this.#host.answered(this)
  }

  #onSent(): void {
    // What was on its way when the connection broke is called back like the rest.
    if (this.#host.socket.destroyed) this.onGone()
    if (this.#isGone) return
    const listener = this.#listener
    this.#listener = undefined
    listener?.onSent()
  }
}

function toFrontHead(incoming: IncomingHead, peer: Peer): FrontHead {
  return {
    protocol: 'http/1.1',
    method: incoming.method,
    target: incoming.target,
    authority: incoming.lines.host,
    serverName: peer.serverName,
    lines: clientLines(incoming.lines.headers, peer),
    upgrade: incoming.upgrade,
    memory: peer.memory,
  }
}
