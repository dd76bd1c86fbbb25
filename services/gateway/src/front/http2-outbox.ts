import type { Duplex } from 'node:stream'
import { NO_TABLE } from '../http2/field-encoder.ts'
import {
  Flag,
  FRAME_BYTES_MAX,
  FRAME_HEADER_BYTES,
  FrameType,
  INITIAL_WINDOW_BYTES,
  WINDOW_BYTES_MAX,
  writeFrameHeader,
} from '../http2/frame.ts'
import { AnswerBatch } from './answer-batch.ts'
import type { FrontNeeds } from './front-needs.ts'

/*
 * Everything that goes out of one connection of HTTP/2.
 *
 * - What goes out waits for the end of a turn of the event loop: one write for all streams.
 * - Heads and bytes of streams go while the socket takes more, bytes also within the window of the
 *   connection; a stream that has to wait has its turn again when there is room.
 * - What is no answer never waits: a client that leaves too much of it unread loses its connection.
 * - A stream whose answer is out hears of it behind the write.
 */

/** What the outbox knows of a stream. */
export type Sender = {
  /** It is among those that wait for their turn. */
  isWaiting: boolean
  /** There is more room: sends what may go. */
  drain(): void
  /** The last frame was written. */
  onWritten(): void
  /** The last frame is lost, with the whole connection. */
  onGone(): void
}

/** A frame of a body and its header fill a TLS record. */
const DATA_BYTES_MAX = FRAME_BYTES_MAX - FRAME_HEADER_BYTES
/** To a client that leaves so much unread nothing is said any more, also not what is no answer. */
const BACKLOG_BYTES_MAX = 1024 * 1024

export class Http2Outbox {
  readonly #socket: Duplex
  readonly #needs: Pick<FrontNeeds, 'flushSoon'>
  readonly #batch: AnswerBatch
  readonly #frameHeader = Buffer.alloc(FRAME_HEADER_BYTES)
  /** What the client takes in one frame. */
  frameBytesMax = FRAME_BYTES_MAX
  #sendWindow = INITIAL_WINDOW_BYTES
  #saysNoTable = true
  /** Have something to send, in the order of their turns. */
  #waiting: Sender[] = []
  /** Their last frame waits for the next write. */
  #out: Sender[] = []
  #isFlushing = false

  constructor(socket: Duplex, needs: Pick<FrontNeeds, 'flushSoon'>) {
    this.#socket = socket
    this.#needs = needs
    this.#batch = new AnswerBatch(socket)
    socket.on('drain', () => this.drain())
  }

  // What streams ask for.

  /** Heads and bytes may go out: the socket takes more. */
  get isFree(): boolean {
    return !this.#socket.writableNeedDrain
  }

  /** How much of a body may go out next, in one frame. */
  get dataBytesMax(): number {
    return Math.min(this.#sendWindow, this.frameBytesMax, DATA_BYTES_MAX)
  }

  sendFields(streamId: number, block: string, isEnd: boolean): void {
    const whole = this.#saysNoTable ? NO_TABLE + block : block
    this.#saysNoTable = false
    const endFlag = isEnd ? Flag.END_STREAM : Flag.NONE
    let type: number = FrameType.HEADERS
    for (let at = 0; at < whole.length; at += this.frameBytesMax) {
      const fragment = whole.slice(at, at + this.frameBytesMax)
      const isLast = at + fragment.length === whole.length
      const flags =
        (isLast ? Flag.END_HEADERS : Flag.NONE) | (type === FrameType.HEADERS ? endFlag : Flag.NONE)
      this.#frame(type, flags, streamId, fragment)
      type = FrameType.CONTINUATION
    }
  }

  sendData(streamId: number, data: Buffer, isEnd: boolean): void {
    this.#sendWindow -= data.length
    this.#frame(FrameType.DATA, isEnd ? Flag.END_STREAM : Flag.NONE, streamId, data)
  }

  /** Something waits for the socket, or for the window of the connection. */
  waits(sender: Sender): void {
    if (sender.isWaiting) return
    sender.isWaiting = true
    this.#waiting.push(sender)
  }

  /** Its last frame waits for the next write, behind which `onWritten` is called. */
  isOut(sender: Sender): void {
    this.#out.push(sender)
    this.#flushSoon()
  }

  // What the connection asks for.

  /** A frame that is ready, header and all. */
  control(frame: Buffer): void {
    if (this.#socket.writableEnded) return
    if (this.#socket.writableLength > BACKLOG_BYTES_MAX) {
      this.#socket.destroy()
      return
    }
    this.#batch.add(frame)
    this.#flushSoon()
  }

  /** @returns Whether the window of the connection stays within what it can be (RFC 9113, 6.9.1). */
  addSendWindow(bytes: number): boolean {
    this.#sendWindow += bytes
    return this.#sendWindow <= WINDOW_BYTES_MAX
  }

  /** There is more room: whoever waits has its turn. */
  drain(): void {
    const waiting = this.#waiting
    if (waiting.length === 0) return
    this.#waiting = []
    for (const sender of waiting) {
      sender.isWaiting = false
      sender.drain()
    }
  }

  /** It has no more turns. */
  leave(sender: Sender): void {
    if (!sender.isWaiting) return
    sender.isWaiting = false
    const turn = this.#waiting.indexOf(sender)
    if (turn >= 0) this.#waiting.splice(turn, 1)
  }

  /** Writes what was said. */
  flush(): void {
    this.#isFlushing = false
    const out = this.#out
    if (this.#socket.writableEnded) {
      // Somebody ended his answer behind our end of the connection.
      this.#out = []
      for (const sender of out) sender.onGone()
      return
    }
    if (out.length === 0) {
      this.#batch.flush()
      return
    }
    this.#out = []
    this.#batch.flush(() => {
      for (const sender of out) {
        // What was on its way when the connection broke is called back like the rest.
        if (this.#socket.destroyed) sender.onGone()
        else sender.onWritten()
      }
    })
  }

  /** Closes our end of the socket behind the last frame. */
  end(onEnded: () => void): void {
    this.flush()
    this.#socket.end(onEnded)
  }

  #frame(type: number, flags: number, streamId: number, payload: Buffer | string): void {
    if (this.#socket.writableEnded) return
    this.#batch.expect(FRAME_HEADER_BYTES + payload.length)
    writeFrameHeader(this.#frameHeader, { length: payload.length, type, flags, streamId })
    this.#batch.add(this.#frameHeader)
    if (payload.length > 0) this.#batch.add(payload)
    this.#flushSoon()
  }

  #flushSoon(): void {
    if (this.#isFlushing) return
    this.#isFlushing = true
    this.#needs.flushSoon(this)
  }
}
