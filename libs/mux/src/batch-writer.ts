import type { Duplex } from 'node:stream'
import { BufferPool } from './buffer-pool.ts'

/** What a TLS record carries at most (RFC 8446, 5.1): whatever is shorter was the last of what was sent. */
const RECORD_BYTES = 16 * 1024
const BATCH_BYTES = 8 * RECORD_BYTES
/** With so much on its way, whoever writes is asked to wait. */
const HELD_BYTES_MAX = 2 * BATCH_BYTES
/** Of those that are free, 4 MiB are kept. */
const batches = new BufferPool(BATCH_BYTES, 32)

/**
 * Writes a flow of bytes to a socket in few large pieces. Full records are gathered until the event loop
 * turns, or as long as the socket is busy; what is shorter goes at once, for nothing is behind it.
 */
export class BatchWriter {
  readonly #socket: Duplex
  readonly #onDrain: () => void
  #batch: Buffer | undefined
  #used = 0
  #isScheduled = false
  #drainOwed = false

  constructor(socket: Duplex, onDrain: () => void) {
    this.#socket = socket
    this.#onDrain = onDrain
  }

  /** Keeps a copy, unless nobody takes it any more. False: wait for `onDrain` before writing more. */
  write(chunk: Buffer): boolean {
    if (!this.#socket.writable) return true
    for (let at = 0; at < chunk.length; ) {
      this.#batch ??= batches.take()
      const copied = chunk.copy(this.#batch, this.#used, at)
      at += copied
      this.#used += copied
      if (this.#used === BATCH_BYTES) this.#flush()
    }
    if (chunk.length < RECORD_BYTES) this.#flushIfFree()
    else this.#flushSoon()
    if (this.#heldBytes >= HELD_BYTES_MAX) this.#drainOwed = true
    return !this.#drainOwed
  }

  /** Ends the socket, behind everything written. */
  end(): void {
    this.#flush()
    this.#socket.end()
  }

  get #heldBytes(): number {
    return this.#socket.writableLength + this.#used
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
    if (this.#socket.writableLength === 0) this.#flush()
  }

  #flush(): void {
    const batch = this.#batch
    if (batch === undefined || this.#used === 0) return
    const bytes = this.#used
    this.#batch = undefined
    this.#used = 0
    batches.writeTo(this.#socket, batch, bytes, () => this.#onWritten())
  }

  #onWritten(): void {
    this.#flushIfFree()
    if (!this.#drainOwed || this.#heldBytes >= BATCH_BYTES) return
    this.#drainOwed = false
    this.#onDrain()
  }
}
