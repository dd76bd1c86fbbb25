import { MuxProtocolError } from './errors.ts'
import { WINDOW_BYTES } from './frame.ts'

/** What a waiting chunk costs beside its bytes. */
const CHUNK_COST = 256

/** What has arrived on a stream and was not read, copied, and the credit that its sender has left. */
export class ReceiveQueue {
  readonly #unreadChanged: (bytes: number) => void
  #chunks: Buffer[] = []
  #first = 0
  #bytes = 0
  #credit = WINDOW_BYTES
  /** Bytes and overhead that wait. */
  cost = 0

  constructor(unreadChanged: (bytes: number) => void) {
    this.#unreadChanged = unreadChanged
  }

  get empty(): boolean {
    return this.#bytes === 0
  }

  /** @throws MuxProtocolError if the sender had no credit for it */
  take(bytes: number): void {
    if (bytes > this.#credit) throw new MuxProtocolError('more bytes than there was credit for')
    this.#credit -= bytes
  }

  push(bytes: Buffer): void {
    this.#chunks.push(Buffer.from(bytes))
    this.#bytes += bytes.length
    this.#charge(bytes.length + CHUNK_COST)
  }

  shift(): Buffer | undefined {
    const chunk = this.#chunks[this.#first]
    if (chunk === undefined) return undefined
    this.#first += 1
    if (this.#first === this.#chunks.length) {
      this.#chunks = []
      this.#first = 0
    } else if (this.#first === 64) {
      this.#chunks.splice(0, 64)
      this.#first = 0
    }
    this.#bytes -= chunk.length
    this.#charge(-chunk.length - CHUNK_COST)
    return chunk
  }

  clear(): void {
    this.#chunks = []
    this.#first = 0
    this.#bytes = 0
    this.#charge(-this.cost)
  }

  /** The credit to return so that the sender has a window again; 0 while it is not worth a frame. */
  grant(windowBytes: number): number {
    const grant = windowBytes - this.#credit - this.#bytes
    if (grant < windowBytes / 4) return 0
    this.#credit += grant
    return grant
  }

  #charge(cost: number): void {
    if (cost === 0) return
    this.cost += cost
    this.#unreadChanged(cost)
  }
}
