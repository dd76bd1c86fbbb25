import type { Duplex } from 'node:stream'
import { BufferPool } from '@postern/mux'

/** What goes out in one write has at most so many bytes. */
const BATCH_BYTES = 128 * 1024
/** Up to this a buffer of its own costs less than one that is used again. */
const SMALL_BYTES = 16 * 1024
/** Of those that are free, 4 MiB are kept. */
const batches = new BufferPool(BATCH_BYTES, 32)

/**
 * What an answer says until the event loop goes on: one write, and so as few TLS records as can be. It is
 * copied as it comes, while it is still in the processor's cache, and belongs to whoever said it.
 */
export class AnswerBatch {
  readonly #socket: Duplex
  #batch: Buffer | undefined
  #used = 0

  constructor(socket: Duplex) {
    this.#socket = socket
  }

  /** So many bytes are said next: they go into one buffer with what waits, where one can hold them. */
  expect(bytes: number): void {
    this.#withRoom(bytes)
  }

  /** One character of a text is one byte. What fills a batch is written at once. */
  add(part: Buffer | string): void {
    const batch = this.#withRoom(part.length)
    if (typeof part === 'string' && part.length <= batch.length - this.#used) {
      this.#used += batch.write(part, this.#used, 'latin1')
    } else {
      this.#copy(typeof part === 'string' ? Buffer.from(part, 'latin1') : part)
    }
  }

  /** Writes what waits. `onSent` is called behind it, also where nothing waits. */
  flush(onSent?: () => void): void {
    const batch = this.#batch
    const bytes = this.#used
    this.#batch = undefined
    this.#used = 0
    if (batch === undefined || bytes === 0) {
      if (onSent !== undefined) this.#socket.write('', onSent)
    } else if (batch.length === BATCH_BYTES) {
      batches.writeTo(this.#socket, batch, bytes, onSent)
    } else {
      this.#socket.write(batch.subarray(0, bytes), onSent)
    }
  }

  #copy(bytes: Buffer): void {
    for (let at = 0; at < bytes.length; ) {
      if (this.#used === BATCH_BYTES) this.flush()
      const copied = bytes.copy(this.#withRoom(bytes.length - at), this.#used, at)
      at += copied
      this.#used += copied
    }
  }

  /** What waits, with room for so many bytes behind it, or as many as a batch can have. */
  #withRoom(bytes: number): Buffer {
    const before = this.#batch
    const wanted = this.#used + bytes
    if (before !== undefined && (wanted <= before.length || before.length === BATCH_BYTES)) {
      return before
    }
    // What comes bit by bit is not copied with every bit.
    const room = Math.max(wanted, 2 * this.#used)
    const batch = room <= SMALL_BYTES ? Buffer.allocUnsafe(room) : batches.take()
    before?.copy(batch, 0, 0, this.#used)
    this.#batch = batch
    return batch
  }
}
