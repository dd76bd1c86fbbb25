import { CREDIT_BYTES_MAX, WINDOW_BYTES } from './frame.ts'

/** Small enough that streams take turns, large enough that headers cost nothing. */
const FRAME_BYTES = 32 * 1024

/** What was written on a stream and waits for credit and for its turn. */
export class SendQueue {
  #chunks: Uint8Array[] = []
  #credit = WINDOW_BYTES
  bytes = 0
  ended = false
  endSent = false

  get endSendable(): boolean {
    return this.ended && !this.endSent && this.bytes === 0
  }

  get sendable(): boolean {
    return (this.bytes > 0 && this.#credit > 0) || this.endSendable
  }

  /** Keeps a copy: what was written is its writer's again. */
  push(chunk: Uint8Array): void {
    this.#chunks.push(Buffer.from(chunk))
    this.bytes += chunk.length
  }

  end(): void {
    this.ended = true
  }

  /** Drops what waits; nothing is sent any more. */
  clear(): void {
    this.#chunks = []
    this.bytes = 0
    this.ended = true
    this.endSent = true
  }

  /** Whether the credit stays within what a window can be. */
  addCredit(bytes: number): boolean {
    this.#credit += bytes
    return this.#credit <= CREDIT_BYTES_MAX
  }

  /** How much of so many bytes one frame may carry now; its credit is taken. */
  takeCredit(bytes: number): number {
    const length = Math.min(bytes, this.#credit, FRAME_BYTES)
    this.#credit -= length
    return length
  }

  /** The payload of the next frame, as far as credit goes. */
  shift(): Uint8Array | undefined {
    const chunk = this.#chunks[0]
    if (chunk === undefined) return undefined
    const length = this.takeCredit(chunk.length)
    if (length === 0) return undefined
    this.bytes -= length
    if (length === chunk.length) {
      this.#chunks.shift()
      return chunk
    }
    this.#chunks[0] = chunk.subarray(length)
    return chunk.subarray(0, length)
  }
}
