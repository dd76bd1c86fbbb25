import { ByteQueue } from './byte-queue.ts'
import { CREDIT_BYTES_MAX, WINDOW_BYTES } from './frame.ts'

/** What was written on a stream and waits for credit and for its turn. */
export class SendQueue {
  readonly #queue = new ByteQueue()
  #credit = WINDOW_BYTES
  ended = false
  endSent = false

  get bytes(): number {
    return this.#queue.bytes
  }

  get endSendable(): boolean {
    return this.ended && !this.endSent && this.bytes === 0
  }

  get sendable(): boolean {
    return (this.bytes > 0 && this.#credit > 0) || this.endSendable
  }

  /** Keeps a copy: what was written is its writer's again. */
  push(chunk: Uint8Array): void {
    this.#queue.push(chunk)
  }

  end(): void {
    this.ended = true
  }

  /** Drops what waits; nothing is sent any more. */
  clear(): void {
    this.#queue.clear()
    this.ended = true
    this.endSent = true
  }

  /** Whether the credit stays within what a window can be. */
  addCredit(bytes: number): boolean {
    this.#credit += bytes
    return this.#credit <= CREDIT_BYTES_MAX
  }

  /** How many bytes the other side takes. */
  get credit(): number {
    return this.#credit
  }

  /** So many were sent past what waits here. */
  takeCredit(bytes: number): void {
    this.#credit -= bytes
  }

  /** How much of what waits may go in a frame of at most so many bytes; its credit is taken. */
  takeFrame(bytesMax: number): number {
    const length = Math.min(this.bytes, this.#credit, bytesMax)
    this.#credit -= length
    return length
  }

  /** Moves the first bytes that wait into the target, and out of here. */
  moveTo(target: Buffer, at: number, length: number): void {
    this.#queue.moveTo(target, at, length)
  }
}
