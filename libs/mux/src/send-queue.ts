import { CREDIT_BYTES_MAX, encodeHeader, FrameType, WINDOW_BYTES } from './frame.ts'

/** Small enough that streams take turns, large enough that headers cost nothing. */
const FRAME_BYTES = 32 * 1024

/** What was written on a stream and waits for credit and for its turn. */
export class SendQueue {
  readonly #streamId: number
  #chunks: Uint8Array[] = []
  #credit = WINDOW_BYTES
  bytes = 0
  ended = false
  endSent = false

  constructor(streamId: number) {
    this.#streamId = streamId
  }

  get endSendable(): boolean {
    return this.ended && !this.endSent && this.bytes === 0
  }

  get sendable(): boolean {
    return (this.bytes > 0 && this.#credit > 0) || this.endSendable
  }

  push(chunk: Uint8Array): void {
    this.#chunks.push(chunk)
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

  /** Moves one DATA frame into the batch, as far as credit goes. Answers its length. */
  takeFrame(batch: Uint8Array[]): number {
    const chunk = this.#chunks[0]
    const length = Math.min(chunk?.length ?? 0, this.#credit, FRAME_BYTES)
    if (chunk === undefined || length === 0) return 0
    const header = encodeHeader(FrameType.DATA, this.#streamId, length)
    batch.push(header, chunk.subarray(0, length))
    if (length === chunk.length) this.#chunks.shift()
    else this.#chunks[0] = chunk.subarray(length)
    this.#credit -= length
    this.bytes -= length
    return header.length + length
  }
}
