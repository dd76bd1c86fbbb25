import type { Duplex } from 'node:stream'
import { BufferPool } from './buffer-pool.ts'
import { FrameType, HEADER_BYTES, RECORD_BYTES, writeHeader } from './frame.ts'

export type Sender = {
  /** It is among those that wait for their turn. */
  waits: boolean
  /** Puts its next frame into the outbox. Answers whether there is more. */
  sendFrame(): boolean
}

/** Bytes that wait, and move into a frame. */
export type Queued = { moveTo(target: Buffer, at: number, length: number): void }

/** A frame with less does not fill up a record: it goes on into the next. */
const FRAME_BYTES_MIN = 1024
/** What is written at once has at most so many bytes. */
const BATCH_BYTES = 8 * RECORD_BYTES
/** Of those that are free, 4 MiB are kept. */
const batches = new BufferPool(BATCH_BYTES, 32)
const NOTHING = new Uint8Array(0)

/**
 * Everything that goes out on the socket. Frames are copied into a batch as they are made, and the
 * batch of one turn of the event loop is one write. Control frames and heads never wait; bytes of streams
 * go while the socket takes more: at once while nobody waits, otherwise a frame of each stream in turn. A
 * frame of bytes ends where a TLS record does, so that the other side reads it in one piece.
 */
export class Outbox {
  readonly #socket: Duplex
  /** In the order of their turns. */
  readonly #senders: Sender[] = []
  #batch: Buffer | undefined
  #used = 0
  /** The batch ends with a frame of bytes: whose, and where it begins. */
  #lastStreamId = 0
  #lastFrameAt = 0
  #scheduled = false
  #closed = false

  constructor(socket: Duplex) {
    this.#socket = socket
    socket.on('drain', () => this.#schedule())
  }

  /** What the other side does not take: control frames do not wait for it. */
  get backlogBytes(): number {
    return this.#used + this.#socket.writableLength
  }

  /** Whether bytes may go at once: the socket takes more, and nobody waits for a turn. */
  get isFree(): boolean {
    return this.#senders.length === 0 && !this.#socket.writableNeedDrain && !this.#closed
  }

  /** How much the next frame of bytes may carry. */
  get frameBytes(): number {
    const toRecordEnd = RECORD_BYTES - (this.#used % RECORD_BYTES) - HEADER_BYTES
    return toRecordEnd < FRAME_BYTES_MIN ? toRecordEnd + RECORD_BYTES : toRecordEnd
  }

  frame(type: FrameType, streamId: number, payload: Uint8Array = NOTHING, more = false): void {
    if (this.#closed) return
    const batch = this.#begin(type, streamId, payload.length, more)
    batch.set(payload, this.#used)
    this.#used += payload.length
  }

  /**
   * Takes what may go at once of a stream's bytes, and answers how many that were. What comes in pieces is
   * one frame all the same, while nothing comes between.
   */
  send(streamId: number, bytes: Uint8Array): number {
    let at = 0
    while (at < bytes.length && this.isFree) {
      const room = this.#roomInLastFrame(streamId)
      if (room === 0 && !this.#hasRoom) {
        this.#write()
      } else {
        const piece = bytes.subarray(at, at + (room === 0 ? this.frameBytes : room))
        if (room === 0) this.frame(FrameType.DATA, streamId, piece)
        else this.#lengthenLastFrame(piece)
        at += piece.length
      }
    }
    return at
  }

  /** A frame of bytes that wait. */
  data(streamId: number, queued: Queued, length: number): void {
    if (this.#closed) return
    const batch = this.#begin(FrameType.DATA, streamId, length, false)
    queued.moveTo(batch, this.#used, length)
    this.#used += length
  }

  /** A frame that is ready, header and all. */
  control(bytes: Uint8Array): void {
    if (this.#closed) return
    this.#roomFor(bytes.length).set(bytes, this.#used)
    this.#used += bytes.length
    this.#lastStreamId = 0
    this.#schedule()
  }

  add(sender: Sender): void {
    if (this.#closed || sender.waits) return
    sender.waits = true
    this.#senders.push(sender)
    this.#schedule()
  }

  remove(sender: Sender): void {
    if (!sender.waits) return
    sender.waits = false
    this.#senders.splice(this.#senders.indexOf(sender), 1)
  }

  /** Writes what can be written now. */
  flush(): void {
    if (this.#closed || !this.#socket.writable) return
    do {
      if (!this.#socket.writableNeedDrain) this.#takeTurns()
      this.#write()
    } while (this.#senders.length > 0 && !this.#socket.writableNeedDrain)
  }

  /** Nothing is written any more. */
  close(): void {
    this.#closed = true
    this.#batch = undefined
    this.#used = 0
    this.#senders.length = 0
  }

  #takeTurns(): void {
    while (this.#hasRoom) {
      const sender = this.#senders.shift()
      if (sender === undefined) break
      sender.waits = false
      if (sender.sendFrame()) this.add(sender)
    }
  }

  #begin(type: FrameType, streamId: number, length: number, more: boolean): Buffer {
    const batch = this.#roomFor(HEADER_BYTES + length)
    writeHeader(batch, this.#used, type, streamId, length, more)
    this.#lastStreamId = type === FrameType.DATA ? streamId : 0
    this.#lastFrameAt = this.#used
    this.#used += HEADER_BYTES
    this.#schedule()
    return batch
  }

  /** How much more goes into the frame that the batch ends with: none where it is not of that stream. */
  #roomInLastFrame(streamId: number): number {
    const inRecord = this.#used % RECORD_BYTES
    return this.#lastStreamId === streamId && inRecord > 0 ? RECORD_BYTES - inRecord : 0
  }

  #lengthenLastFrame(bytes: Uint8Array): void {
    const batch = this.#roomFor(bytes.length)
    batch.set(bytes, this.#used)
    this.#used += bytes.length
    const length = this.#used - this.#lastFrameAt - HEADER_BYTES
    writeHeader(batch, this.#lastFrameAt, FrameType.DATA, this.#lastStreamId, length, false)
  }

  /** For another frame of bytes. */
  get #hasRoom(): boolean {
    return this.#used + HEADER_BYTES + FRAME_BYTES_MIN <= BATCH_BYTES
  }

  #roomFor(bytes: number): Buffer {
    if (this.#used + bytes > BATCH_BYTES) this.#write()
    this.#batch ??= batches.take()
    return this.#batch
  }

  #write(): void {
    const batch = this.#batch
    const used = this.#used
    if (batch === undefined || used === 0) return
    this.#batch = undefined
    this.#used = 0
    this.#lastStreamId = 0
    batches.writeTo(this.#socket, batch, used)
  }

  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    setImmediate(() => {
      this.flush()
      this.#scheduled = false
    })
  }
}
