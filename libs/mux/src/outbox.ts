import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { BATCH_BYTES, giveBackBatchBuffer, takeBatchBuffer } from './batch-buffers.ts'
import { type FrameType, HEADER_BYTES, PAYLOAD_BYTES_MAX, writeHeader } from './frame.ts'

export type Sender = {
  /** Puts its next frame into the outbox. Answers whether there is more. */
  sendFrame(): boolean
}

const NOTHING = new Uint8Array(0)
/** What the largest frame needs: with less room left, a batch is full. */
const FRAME_BYTES_MAX = HEADER_BYTES + PAYLOAD_BYTES_MAX

/**
 * Everything that goes out on the socket. Frames are copied into a batch as they are made, and the
 * batch of one turn of the event loop is one write. Control frames and heads never wait; bytes of streams
 * go while the socket takes more, and take turns, a frame each, once it has not.
 */
export class Outbox {
  readonly #socket: Duplex
  /** What such a socket has called written is nowhere any more; another Duplex may have handed it on. */
  readonly #recycles: boolean
  readonly #senders = new Set<Sender>()
  #batch: Buffer | undefined
  #used = 0
  #scheduled = false
  #closed = false

  constructor(socket: Duplex) {
    this.#socket = socket
    this.#recycles = socket instanceof Socket
    socket.on('drain', () => this.#schedule())
  }

  /** What the other side does not take: control frames do not wait for it. */
  get backlogBytes(): number {
    return this.#used + this.#socket.writableLength
  }

  /** Whether bytes may go at once: the socket takes more, and nobody waits for a turn. */
  get isFree(): boolean {
    return this.#senders.size === 0 && !this.#socket.writableNeedDrain && !this.#closed
  }

  frame(type: FrameType, streamId: number, payload: Uint8Array = NOTHING, more = false): void {
    if (this.#closed) return
    const batch = this.#roomFor(HEADER_BYTES + payload.length)
    writeHeader(batch, this.#used, type, streamId, payload.length, more)
    batch.set(payload, this.#used + HEADER_BYTES)
    this.#used += HEADER_BYTES + payload.length
    this.#schedule()
  }

  /** A frame that is ready, header and all. */
  control(bytes: Uint8Array): void {
    if (this.#closed) return
    this.#roomFor(bytes.length).set(bytes, this.#used)
    this.#used += bytes.length
    this.#schedule()
  }

  add(sender: Sender): void {
    if (this.#closed) return
    this.#senders.add(sender)
    this.#schedule()
  }

  remove(sender: Sender): void {
    this.#senders.delete(sender)
  }

  /** Writes what can be written now. */
  flush(): void {
    if (this.#closed || !this.#socket.writable) return
    do {
      if (!this.#socket.writableNeedDrain) this.#takeTurns()
      this.#write()
    } while (this.#senders.size > 0 && !this.#socket.writableNeedDrain)
  }

  /** Nothing is written any more. */
  close(): void {
    this.#closed = true
    this.#batch = undefined
    this.#used = 0
    this.#senders.clear()
  }

  #takeTurns(): void {
    for (const sender of this.#senders) {
      if (this.#used + FRAME_BYTES_MAX > BATCH_BYTES) break
      // Taken out and put in again: a Set goes on to what was added, so streams take turns.
      this.#senders.delete(sender)
      if (sender.sendFrame()) this.#senders.add(sender)
    }
  }

  #roomFor(bytes: number): Buffer {
    if (this.#used + bytes > BATCH_BYTES) this.#write()
    this.#batch ??= takeBatchBuffer()
    return this.#batch
  }

  #write(): void {
    const batch = this.#batch
    const used = this.#used
    if (batch === undefined || used === 0) return
    this.#batch = undefined
    this.#used = 0
    const bytes = batch.subarray(0, used)
    if (this.#recycles) this.#socket.write(bytes, () => giveBackBatchBuffer(batch))
    else this.#socket.write(bytes)
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
