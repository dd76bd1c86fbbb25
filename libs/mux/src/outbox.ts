import type { Duplex } from 'node:stream'

/** What is written at once: the bytes of one turn of the event loop, up to this. */
const BATCH_BYTES = 256 * 1024

export type Sender = {
  /** Moves its next frame into the batch. Answers the bytes moved, and whether there is more. */
  takeFrame(batch: Uint8Array[]): { bytes: number; more: boolean }
}

/**
 * Everything that goes out on the socket. Control frames go first; streams take turns behind them,
 * a frame each, and only while the socket takes more. One write for each turn of the event loop.
 */
export class Outbox {
  readonly #socket: Duplex
  #control: Uint8Array[] = []
  #controlBytes = 0
  readonly #senders = new Set<Sender>()
  #scheduled = false
  #closed = false

  constructor(socket: Duplex) {
    this.#socket = socket
    socket.on('drain', () => this.#schedule())
  }

  /** What the other side does not take: control frames do not wait for it. */
  get backlogBytes(): number {
    return this.#controlBytes + this.#socket.writableLength
  }

  control(bytes: Uint8Array): void {
    this.#control.push(bytes)
    this.#controlBytes += bytes.length
    this.#schedule()
  }

  add(sender: Sender): void {
    this.#senders.add(sender)
    this.#schedule()
  }

  remove(sender: Sender): void {
    this.#senders.delete(sender)
  }

  /** Writes what can be written now. */
  flush(): void {
    if (this.#closed || !this.#socket.writable) return
    while (
      this.#control.length > 0 ||
      (this.#senders.size > 0 && !this.#socket.writableNeedDrain)
    ) {
      const batch = this.#control
      let bytes = this.#controlBytes
      this.#control = []
      this.#controlBytes = 0
      if (!this.#socket.writableNeedDrain) bytes += this.#takeFrames(batch, BATCH_BYTES - bytes)
      if (bytes > 0) this.#write(batch, bytes)
    }
  }

  /** Nothing is written any more. */
  close(): void {
    this.#closed = true
    this.#control = []
    this.#controlBytes = 0
    this.#senders.clear()
  }

  #takeFrames(batch: Uint8Array[], bytesMax: number): number {
    let taken = 0
    for (const sender of this.#senders) {
      if (taken >= bytesMax) break
      // Taken out and put in again: a Set goes on to what was added, so streams take turns.
      this.#senders.delete(sender)
      const { bytes, more } = sender.takeFrame(batch)
      taken += bytes
      if (more) this.#senders.add(sender)
    }
    return taken
  }

  #write(batch: Uint8Array[], bytes: number): void {
    const [first] = batch
    // One buffer makes one TLS record of small frames; OpenSSL's binding would join them as well.
    this.#socket.write(
      batch.length === 1 && first !== undefined ? first : Buffer.concat(batch, bytes),
    )
  }

  #schedule(): void {
    if (this.#scheduled || this.#closed) return
    this.#scheduled = true
    setImmediate(() => {
      this.#scheduled = false
      this.flush()
    })
  }
}
