import { headerName, type ResponseHead } from '@postern/kube-http'
import { ByteQueue } from '@postern/mux'
import { encodeField, encodeStatus } from '../http2/field-encoder.ts'
import { ErrorCode, FRAME_BYTES_MAX, WINDOW_BYTES_MAX } from '../http2/frame.ts'
import { type AnswerFraming, framingOf, NO_BODY } from './answer-framing.ts'
import type { ClientListener } from './front-interface.ts'
import { httpDate } from './http-date.ts'
import type { Http2Outbox, Sender } from './http2-outbox.ts'
import type { Http2Resets } from './http2-resets.ts'

/*
 * One stream of a connection (RFC 9113, 5.1): a request, and its answer.
 *
 *   the request   coming ── END_STREAM ──▶ whole
 *   the answer    none ── head ──▶ body ── END_STREAM ──▶ out
 *   either        ── reset by one side, or the connection is lost ──▶ gone
 *
 * - Of a body that nobody takes yet, as much is kept as its window lets the client send: the window
 *   opens with what was taken (6.9).
 * - An answer goes out as far as the windows and the socket let it; the rest is kept, and whoever writes
 *   is asked to wait.
 * - An answer whose length was said ends with its last byte, one without a body with its head.
 * - A client that waits for it is told to send its body when somebody takes it (RFC 9110, 10.1.1).
 * - A body that its answer did not wait for is dropped, and its client is asked to stop (8.1).
 */

/** What a client may send of a body before somebody takes it. */
export const RECEIVE_WINDOW_BYTES = 256 * 1024
const NOTHING = Buffer.alloc(0)
const PLAIN_TEXT = [
  ['content-type', 'text/plain; charset=utf-8'],
  ['x-content-type-options', 'nosniff'],
] as const
const CONTINUE = encodeStatus(100)

/** What a stream needs of its connection. */
export type StreamHost = {
  readonly outbox: Http2Outbox
  readonly resets: Http2Resets
  /** So much of what came was taken, or dropped. */
  taken(stream: Http2Stream | undefined, bytes: number): void
  /** No frame of it means anything any more. */
  leave(stream: Http2Stream): void
}

/** What its head says of a request. */
export type AskedFor = {
  readonly method: string
  /** It has no body, or an empty one. */
  readonly isWhole: boolean
  /** Where the length of its body was said. */
  readonly bodyBytes?: number | undefined
  /** Its client waits to be told before it sends the body. */
  readonly expectsContinue?: boolean
}

export class Http2Stream implements Sender {
  readonly id: number
  /** Its place among those of the connection. */
  seat = 0
  isWaiting = false
  readonly #host: StreamHost
  readonly #outbox: Http2Outbox
  #listener: ClientListener | undefined
  #isGone = false

  /** Since when the client is waited for: to say more of its body, or to take the rest of an answer that has ended. */
  #awaitedSinceMs = Number.POSITIVE_INFINITY

  // The request.
  readonly #method: string
  #isWhole: boolean
  #saidWhole = false
  /** What is still to come, where its length was said. */
  #bodyLeft: number | undefined
  #isPaused = true
  #isUnwanted = false
  /** The client waits to be told before it sends the body, and was not told yet. */
  #expectsContinue: boolean
  readonly #unread = new ByteQueue()
  #receiveWindow = RECEIVE_WINDOW_BYTES
  /** Taken, and not yet said to the client. */
  takenBytes = 0

  // The answer.
  #responded = false
  #isOut = false
  #isEnded = false
  #hasBody = true
  /** Of an answer whose length was said: what is still to be sent. */
  #owedBytes: number | undefined
  #block: string | undefined
  readonly #unsent = new ByteQueue()
  #sendWindow: number
  #asksToWait = false

  constructor(id: number, host: StreamHost, asked: AskedFor, sendWindow: number) {
    this.id = id
    this.#host = host
    this.#outbox = host.outbox
    this.#method = asked.method
    this.#isWhole = asked.isWhole
    this.#bodyLeft = asked.bodyBytes
    this.#expectsContinue = asked.expectsContinue === true && !asked.isWhole
    this.#sendWindow = sendWindow
  }

  get gone(): boolean {
    return this.#isGone
  }

  get responded(): boolean {
    return this.#responded
  }

  /** The client has said all that it says: what else comes breaks the protocol. */
  get isWhole(): boolean {
    return this.#isWhole
  }

  // What the request's handler asks for.

  listen(listener: ClientListener): void {
    if (this.#listener !== undefined) throw new Error('somebody listens already')
    if (this.#isGone) {
      listener.onGone()
      return
    }
    this.#listener = listener
    this.#takeBody()
  }

  /** Nothing is called any more, and nobody wants the body. */
  mute(): void {
    this.#listener = undefined
    this.#isUnwanted = true
    this.#awaitBody()
    this.#drop()
  }

  pause(): void {
    this.#isPaused = true
    this.#awaitBody()
  }

  resume(): void {
    if (this.#isPaused) this.#takeBody()
  }

  respond(head: ResponseHead): AnswerFraming {
    if (this.#isGone || this.#responded) return NO_BODY
    this.#responded = true
    this.#expectsContinue = false
    const framing = framingOf(this.#method, head)
    this.#hasBody = framing.kind !== 'none'
    this.#owedBytes = framing.kind === 'length' ? framing.bytes : undefined
    this.#block = fieldBlock(head)
    this.#send()
    return framing
  }

  /** Answers whether more may be written now; else `onAnswerDrain` is called. */
  write(chunk: Buffer): boolean {
    if (this.#isOver || !this.#responded || this.#isEnded || !this.#hasBody) return true
    if (chunk.length === 0) return !this.#asksToWait
    const sent = this.#unsent.bytes === 0 && this.#block === undefined ? this.#sendSome(chunk) : 0
    if (sent < chunk.length) {
      this.#unsent.push(chunk.subarray(sent))
      this.#asksToWait = true
      this.#wait()
    }
    return !this.#asksToWait
  }

  end(): void {
    if (this.#isOver || !this.#responded || this.#isEnded) return
    this.#isEnded = true
    this.#awaitedSinceMs = Date.now()
    this.#send()
  }

  /** Ends the stream so that the client sees that it is not complete. Nothing is called any more. */
  abort(): void {
    this.#listener = undefined
    if (this.#isOver) return
    this.#leave()
    this.#host.resets.send(this.id, ErrorCode.INTERNAL_ERROR)
  }

  // What the connection calls.

  /** Answers in the place of the request's handler, who hears that the client is gone. */
  refuse(status: number, text: string): void {
    const listener = this.#listener
    const body = Buffer.from(text)
    this.mute()
    this.respond({ status, headers: [...PLAIN_TEXT, ['content-length', String(body.length)]] })
    this.write(body)
    this.end()
    listener?.onGone()
  }

  /** @returns Why the client has broken its stream, if it has: then none of it was taken. */
  onData(bytes: Buffer, windowBytes: number, isEnd: boolean): number | undefined {
    if (this.#isWhole) return ErrorCode.STREAM_CLOSED
    if (windowBytes > this.#receiveWindow) return ErrorCode.FLOW_CONTROL_ERROR
    this.#receiveWindow -= windowBytes
    if (this.#bodyLeft !== undefined) {
      this.#bodyLeft -= bytes.length
      const isFlawed = this.#bodyLeft < 0 || (isEnd && this.#bodyLeft > 0)
      if (isFlawed) return ErrorCode.PROTOCOL_ERROR
    }
    this.#isWhole = isEnd
    this.#expectsContinue = false
    this.#awaitBody()
    // Padding is taken as soon as it is there.
    this.#took(windowBytes - bytes.length)
    if (this.#isUnwanted) {
      // Without credit for more of it.
      this.#host.taken(undefined, bytes.length)
    } else if (this.#isPaused) {
      this.#unread.push(bytes)
    } else if (bytes.length > 0) {
      this.#took(bytes.length)
      this.#listener?.onBody(bytes)
    }
    if (isEnd) this.#deliver()
    return undefined
  }

  /** @returns Whether the window stays within what it can be (RFC 9113, 6.9.1). */
  addSendWindow(bytes: number): boolean {
    this.#sendWindow += bytes
    return this.#sendWindow <= WINDOW_BYTES_MAX
  }

  /** The client said so much more may come: of that, so much was taken before. */
  credited(bytes: number): void {
    this.#receiveWindow += bytes
    this.takenBytes -= bytes
  }

  /** For so long the client has neither said nor taken what it is waited for. */
  waitedMs(nowMs: number): number {
    return this.#isOver ? 0 : nowMs - this.#awaitedSinceMs
  }

  /** There is more room: sends what may go. */
  drain(): void {
    this.#send()
    if (!this.#asksToWait || this.#block !== undefined || this.#unsent.bytes > 0) return
    this.#asksToWait = false
    if (!this.#isEnded) this.#listener?.onAnswerDrain()
  }

  /** The client, or the whole connection, is gone. */
  onGone(): void {
    if (this.#isGone) return
    this.#leave()
    const listener = this.#listener
    this.#listener = undefined
    listener?.onGone()
  }

  /** The last frame was written. */
  onWritten(): void {
    const listener = this.#listener
    this.#listener = undefined
    listener?.onSent()
  }

  #takeBody(): void {
    this.#isPaused = false
    this.#awaitBody()
    if (this.#expectsContinue) this.#send()
    this.#deliver()
  }

  /** From now on, where it is wanted and not whole. */
  #awaitBody(): void {
    if (this.#isEnded) return
    const isAwaited = !this.#isPaused && !this.#isUnwanted && !this.#isWhole
    this.#awaitedSinceMs = isAwaited ? Date.now() : Number.POSITIVE_INFINITY
  }

  #deliver(): void {
    while (!this.#isPaused && this.#unread.bytes > 0) {
      // A copy: whoever takes it may let more come, or nothing any more.
      const chunk = Buffer.from(this.#unread.first(FRAME_BYTES_MAX))
      this.#unread.drop(chunk.length)
      this.#took(chunk.length)
      this.#listener?.onBody(chunk)
    }
    if (this.#isPaused || !this.#isWhole || this.#saidWhole) return
    this.#saidWhole = true
    this.#listener?.onBodyEnd()
  }

  #took(bytes: number): void {
    if (bytes === 0) return
    this.takenBytes += bytes
    this.#host.taken(this, bytes)
  }

  get #isOver(): boolean {
    return this.#isGone || this.#isOut
  }

  /** What only waits for its own window hears of it when there is more. */
  #wait(): void {
    const needsWindow = this.#block === undefined && this.#unsent.bytes > 0
    if (!needsWindow || this.#sendWindow > 0) this.#outbox.waits(this)
  }

  /** As much as may go now. */
  #send(): void {
    if (this.#isOver) return
    if (this.#expectsContinue && !this.#isPaused) {
      if (!this.#outbox.isFree) {
        this.#wait()
        return
      }
      this.#expectsContinue = false
      this.#outbox.sendFields(this.id, CONTINUE, false)
    }
    if (this.#block !== undefined) {
      if (!this.#outbox.isFree) {
        this.#wait()
        return
      }
      const block = this.#block
      const isEnd = !this.#hasBody || this.#owedBytes === 0
      this.#block = undefined
      this.#outbox.sendFields(this.id, block, isEnd)
      if (isEnd) {
        this.#out()
        return
      }
    }
    while (this.#unsent.bytes > 0) {
      const sent = this.#sendSome(this.#unsent.first(this.#unsent.bytes))
      if (this.#isOut) return
      if (sent === 0) {
        this.#wait()
        return
      }
      this.#unsent.drop(sent)
    }
    if (!this.#isEnded) return
    if (this.#owedBytes !== undefined && this.#owedBytes > 0) {
      // What ends before its length is not complete.
      this.#host.resets.send(this.id, ErrorCode.INTERNAL_ERROR)
      this.onGone()
    } else if (this.#outbox.isFree) {
      this.#outbox.sendData(this.id, NOTHING, true)
      this.#out()
    } else {
      this.#wait()
    }
  }

  #sendSome(chunk: Buffer): number {
    let at = 0
    while (at < chunk.length && this.#outbox.isFree) {
      const owed = this.#owedBytes ?? Number.POSITIVE_INFINITY
      const room = Math.min(this.#sendWindow, this.#outbox.dataBytesMax, owed)
      if (room <= 0) break
      const data = chunk.subarray(at, at + room)
      at += data.length
      this.#sendWindow -= data.length
      if (this.#isEnded) this.#awaitedSinceMs = Date.now()
      let isEnd = false
      if (this.#owedBytes !== undefined) {
        this.#owedBytes -= data.length
        isEnd = this.#owedBytes === 0
      }
      this.#outbox.sendData(this.id, data, isEnd)
      if (isEnd) {
        this.#out()
        return chunk.length
      }
    }
    return at
  }

  /** The answer ends with the frame that was sent last. */
  #out(): void {
    this.#isOut = true
    this.#unsent.clear()
    if (!this.#isWhole) this.#host.resets.stopSoon(this.id)
    this.#drop()
    // In this order: whoever leaves last may end the connection.
    this.#outbox.isOut(this)
    this.#host.leave(this)
  }

  #leave(): void {
    this.#isGone = true
    this.#unsent.clear()
    this.#block = undefined
    this.#drop()
    // Whose answer is out has left already.
    if (!this.#isOut) this.#host.leave(this)
  }

  /** What was kept of the body is for nobody: the connection's window opens again. */
  #drop(): void {
    const { bytes } = this.#unread
    this.#unread.clear()
    if (bytes > 0) this.#host.taken(undefined, bytes)
  }
}

/** One character a byte. Lines for the next hop never leave (RFC 9113, 8.2.2); an answer has a date (RFC 9110, 6.6.1). */
function fieldBlock({ status, headers }: ResponseHead): string {
  let block = encodeStatus(status)
  let isDated = false
  for (const [name, value] of headers) {
    const { key, isHopByHop } = headerName(name)
    if (isHopByHop || (status === 204 && key === 'content-length')) continue
    isDated ||= key === 'date'
    block += encodeField(key, value)
  }
  return isDated ? block : block + encodeField('date', httpDate())
}
