import type { Duplex } from 'node:stream'
import { BufferPool, giveUp } from './buffer-pool.ts'
import { RECORD_BYTES } from './frame.ts'

const BATCH_BYTES = 8 * RECORD_BYTES
/** With so much on its way, whoever writes is asked to wait. */
const HELD_BYTES_MAX = 2 * BATCH_BYTES
/** Of those that are free, 4 MiB are kept. */
const batches = new BufferPool(BATCH_BYTES, 32)

/**
 * Carries what one socket brings to another, in few large pieces, and holds it up while too much is on its
 * way. Full records are gathered until the event loop turns, or as long as a write of its own is under way;
 * what is shorter goes at once, for nothing is behind it.
 */
export class BatchWriter {
  readonly #from: Duplex
  readonly #to: Duplex
  readonly #onWritten = () => this.#written()
  /** Each calls back. What others write to the socket does not, and is not waited for. */
  #writesUnderWay = 0
  #batch: Buffer | undefined
  #used = 0
  #isScheduled = false
  #isHeldUp = false

  constructor(from: Duplex, to: Duplex) {
    this.#from = from
    this.#to = to
  }

  /** The chunk is the writer's from then on. */
  write(chunk: Buffer): void {
    if (!this.#to.writable) return
    // Whatever is shorter than a record was the last of what was sent.
    const isLast = chunk.length < RECORD_BYTES
    if (isLast && this.#writesUnderWay === 0 && this.#used === 0) {
      this.#writesUnderWay += 1
      this.#to.write(chunk, this.#onWritten)
      return
    }
    this.#gather(chunk)
    giveUp(chunk, this.#from)
    if (isLast) this.#flushIfFree()
    else this.#flushSoon()
    if (this.#isHeldUp || this.#heldBytes < HELD_BYTES_MAX) return
    this.#isHeldUp = true
    this.#from.pause()
  }

  /** Ends the other socket, behind everything written. */
  end(): void {
    this.#flush()
    this.#to.end()
  }

  get #heldBytes(): number {
    return this.#to.writableLength + this.#used
  }

  #gather(chunk: Buffer): void {
    for (let at = 0; at < chunk.length; ) {
      this.#batch ??= batches.take()
      const copied = chunk.copy(this.#batch, this.#used, at)
      at += copied
      this.#used += copied
      if (this.#used === BATCH_BYTES) this.#flush()
    }
  }

  #flushSoon(): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    setImmediate(() => {
      this.#isScheduled = false
      this.#flushIfFree()
    })
  }

  /** What is gathered behind a write that is under way goes out once that is done. */
  #flushIfFree(): void {
    if (this.#writesUnderWay === 0) this.#flush()
  }

  #flush(): void {
    const batch = this.#batch
    if (batch === undefined || this.#used === 0) return
    const bytes = this.#used
    this.#batch = undefined
    this.#used = 0
    this.#writesUnderWay += 1
    batches.writeTo(this.#to, batch, bytes, this.#onWritten)
  }

  #written(): void {
    this.#writesUnderWay -= 1
    this.#flushIfFree()
    if (!this.#isHeldUp || this.#heldBytes >= BATCH_BYTES) return
    this.#isHeldUp = false
    this.#from.resume()
  }
}
