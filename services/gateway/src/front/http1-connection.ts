import type { Duplex } from 'node:stream'
import { type HeadRefusal, type IncomingHead, RequestReader } from '@postern/kube-http'
import { BODY_TOO_SLOW } from './front-limits.ts'
import type { FrontNeeds } from './front-needs.ts'
import { CONTINUE } from './http1-answer.ts'
import { type ExchangeHost, Http1Exchange } from './http1-exchange.ts'
import { writeRefusal } from './http1-refusal.ts'
import type { Peer } from './peer.ts'
import { type ByteTaker, ReadAhead } from './read-ahead.ts'

/*
 * One connection of a client that speaks HTTP/1.1, or that did not say what it speaks.
 *
 *   waiting ── a byte ──▶ head ── the head is whole ──▶ exchange ── answered, body read ──▶ waiting
 *      any of these ── last answer, refusal, age, time ──▶ closing ──▶ closed
 *      exchange ── 101 ──▶ handed over
 *
 * - Requests are answered in the order they came, one at a time (RFC 9112, 9.3.2). What is pipelined
 *   behind one is not looked at before; of that and of a body that nobody takes yet, a little is read
 *   (read-ahead.ts).
 * - What could be read in two ways is answered once, and nothing behind it is read (request-head.ts).
 * - The rest of a body that its answer did not wait for is read and dropped if it is short; otherwise the
 *   answer is the last.
 * - A connection ends in two steps: our end is closed behind the last answer, and what still comes is
 *   dropped for a while, or the client would lose the answer to a reset (RFC 9112, 9.6).
 * - A client that closes its end is gone: whatever runs for it is cancelled, as kube-apiserver does it.
 */

export type Http1Needs = FrontNeeds & {
  readonly onClosed: (connection: Http1Connection) => void
  readonly isDraining: () => boolean
}

/** A body so short is read and dropped when nobody wants it. */
const SHORT_BODY_BYTES = 1024 * 1024

export class Http1Connection implements ExchangeHost, ByteTaker {
  readonly socket: Duplex
  readonly #peer: Peer
  readonly #needs: Http1Needs
  readonly #reader: RequestReader
  readonly #ahead: ReadAhead
  readonly #bornAt = Date.now()
  #phase: 'waiting' | 'head' | 'exchange' | 'closing' | 'handed-over' = 'waiting'
  #exchange: Http1Exchange | undefined
  #continued = false
  #deadlineAt: number

  constructor(socket: Duplex, peer: Peer, needs: Http1Needs) {
    this.socket = socket
    this.#peer = peer
    this.#needs = needs
    this.#reader = new RequestReader((part) => this.#onBody(part), needs.headBudget)
    this.#ahead = new ReadAhead(socket, this)
    this.#deadlineAt = this.#bornAt + needs.limits.headMs
    socket.on('drain', this.#onDrain)
    socket.on('end', this.#onEnd)
    socket.on('error', ignore)
    socket.on('close', () => this.#onClose())
  }

  /** It is no connection of HTTP any more. */
  get isHandedOver(): boolean {
    return this.#phase === 'handed-over'
  }

  /** Ends it where nothing runs on it. */
  closeIfIdle(): void {
    if (this.#phase === 'waiting') this.#closeSoon()
  }

  /** Called now and then. */
  checkDeadline(nowMs: number): void {
    if (nowMs < this.#deadlineAt) return
    switch (this.#phase) {
      case 'waiting':
        this.#closeSoon()
        return
      case 'head':
        this.#refuse({ status: 408, problem: 'the request came too slowly' })
        return
      case 'exchange':
        if (this.#exchange?.ended === true) this.#closeSoon()
        else if (this.#exchange?.wantsBody === true) {
          this.#refuse(BODY_TOO_SLOW)
        }
        return
      case 'closing':
        this.socket.destroy()
        return
      case 'handed-over':
    }
  }

  // What an exchange asks for.

  bodyMoves(): void {
    const exchange = this.#exchange
    if (exchange === undefined || this.#reader.state !== 'body') return
    this.#deadlineIn(this.#needs.limits.bodySilenceMs)
    const isAwaited = exchange.incoming.lines.expectsContinue && !this.#continued
    if (isAwaited && this.#ahead.isEmpty && !exchange.responded) {
      this.socket.write(CONTINUE, 'latin1')
    }
    this.#continued = true
    this.#ahead.advanceLater()
  }

  answered(exchange: Http1Exchange): void {
    if (exchange.closes) this.#closeSoon()
    else if (this.#reader.state !== 'done') this.#deadlineIn(this.#needs.limits.bodySilenceMs)
    else this.#next()
  }

  isLast({ incoming }: Http1Exchange): boolean {
    const { closes, expectsContinue, bodyBytes } = incoming.lines
    const isOld = Date.now() - this.#bornAt > this.#needs.limits.ageMs
    if (isOld || closes || incoming.upgrade !== undefined) return true
    if (this.#needs.isDraining()) return true
    if (this.#reader.state === 'done') return false
    // Whoever was not told to go on may send the body or leave it: what follows could be either.
    if (expectsContinue && !this.#continued) return true
    return bodyBytes === 'chunked' || bodyBytes > SHORT_BODY_BYTES
  }

  flushSoon(exchange: Http1Exchange): void {
    this.#needs.flushSoon(exchange)
  }

  handOver(): Duplex {
    const { socket } = this
    this.#phase = 'handed-over'
    this.#deadlineAt = Number.POSITIVE_INFINITY
    this.#exchange = undefined
    this.#reader.close()
    socket.off('drain', this.#onDrain).off('end', this.#onEnd)
    this.#ahead.release()
    return socket
  }

  // What the client does.

  readonly #onDrain = (): void => {
    this.#exchange?.onDrain()
    this.#ahead.advance()
  }

  readonly #onEnd = (): void => {
    this.#exchange?.onGone()
    this.#closeSoon()
  }

  #onClose(): void {
    if (this.#phase !== 'handed-over') this.#exchange?.onGone()
    this.#reader.close()
    this.#needs.onClosed(this)
  }

  takesBytes(): boolean {
    switch (this.#phase) {
      case 'waiting':
      case 'head':
        // Nor is another request begun while the client does not take the answers it has.
        return !this.socket.writableNeedDrain
      case 'exchange':
        return this.#reader.state === 'body' && this.#isBodyTaken()
      case 'closing':
        return true
      case 'handed-over':
        return false
    }
  }

  take(bytes: Buffer): void {
    if (this.#phase === 'closing') return
    const exchange = this.#exchange
    // Whoever takes an upgrade's connection over takes the rest as well.
    this.#ahead.keep(this.#reader.push(bytes))
    // Whoever got a part of the body may have answered, or given up.
    if (this.#exchange !== exchange) return
    const { refusal, head, state } = this.#reader
    if (refusal !== undefined) this.#refuse(refusal)
    else if (exchange === undefined) this.#onHead(head)
    else if (state === 'done') this.#onBodyEnd(exchange)
    else this.#deadlineIn(this.#needs.limits.bodySilenceMs)
  }

  #onHead(incoming: IncomingHead | undefined): void {
    if (incoming === undefined) {
      if (this.#phase === 'waiting') this.#deadlineIn(this.#needs.limits.headMs)
      this.#phase = 'head'
      return
    }
    if (incoming.upgrade === 'websocket' && !this.#ahead.isEmpty) {
      this.#refuse({ status: 400, problem: 'bytes came before the upgrade was answered' })
      return
    }
    const exchange = new Http1Exchange(incoming, this.#peer, this)
    this.#phase = 'exchange'
    this.#deadlineAt = Number.POSITIVE_INFINITY
    this.#continued = false
    this.#exchange = exchange
    this.#needs.handle(exchange)
  }

  #isBodyTaken(): boolean {
    return this.#exchange?.ended === true || this.#exchange?.wantsBody === true
  }

  #onBody(part: Buffer): void {
    const exchange = this.#exchange
    if (exchange?.ended === false) exchange.onBody(part)
  }

  #onBodyEnd(exchange: Http1Exchange): void {
    if (exchange.ended) {
      this.#next()
      return
    }
    this.#deadlineAt = Number.POSITIVE_INFINITY
    exchange.onBodyEnd()
  }

  /** The request is answered and read to its end. */
  #next(): void {
    if (this.#needs.isDraining()) {
      this.#closeSoon()
      return
    }
    this.#exchange = undefined
    this.#reader.next()
    this.#phase = 'waiting'
    this.#deadlineIn(this.#needs.limits.idleMs)
    this.#ahead.advanceLater()
  }

  /** Answers once what cannot be believed, and reads no more. */
  #refuse(refusal: HeadRefusal): void {
    const exchange = this.#exchange
    this.#needs.onMalformed(this.#peer.remoteAddress, refusal.problem)
    if (exchange?.ended === true) {
      this.#closeSoon()
      return
    }
    exchange?.onGone()
    // In the middle of an answer nothing can be said any more.
    if (exchange?.responded === true) {
      this.socket.destroy()
      return
    }
    this.socket.write(writeRefusal(refusal), 'latin1')
    this.#closeSoon()
  }

  #closeSoon(): void {
    if (this.#phase === 'closing' || this.#phase === 'handed-over') return
    this.#phase = 'closing'
    this.#exchange = undefined
    this.#reader.close()
    const { idleMs, lingerMs } = this.#needs.limits
    this.#deadlineIn(idleMs)
    this.socket.end(() => this.#deadlineIn(lingerMs))
    this.#ahead.advance()
  }

  #deadlineIn(ms: number): void {
    this.#deadlineAt = Date.now() + ms
  }
}

/** `close` follows and says all there is to say. */
function ignore(): void {}
