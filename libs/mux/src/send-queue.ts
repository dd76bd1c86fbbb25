import { BufferPool } from './buffer-pool.ts'
import { CREDIT_BYTES_MAX, WINDOW_BYTES } from './frame.ts'

/** For what waits on all streams; of those that are free, 2 MiB are kept. */
const blocks = new BufferPool(32 * 1024, 64)

/** Bytes of a block that wait. */
type Part = { readonly block: Buffer; start: number; end: number }

/** What was written on a stream and waits for credit and for its turn, gathered in blocks. */
export class SendQueue {
  #parts: Part[] = []
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
    for (let at = 0; at < chunk.length; ) {
      const part = this.#partWithRoom()
      const room = part.block.length - part.end
      const piece = chunk.length - at > room ? chunk.subarray(at, at + room) : chunk.subarray(at)
      part.block.set(piece, part.end)
      part.end += piece.length
      at += piece.length
    }
    this.bytes += chunk.length
  }

  end(): void {
    this.ended = true
  }

  /** Drops what waits; nothing is sent any more. */
  clear(): void {
    for (const { block } of this.#parts) blocks.giveBack(block)
    this.#parts = []
    this.bytes = 0
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
    let to = at
    for (const end = at + length; to < end; ) {
      const [part] = this.#parts
      if (part === undefined) throw new RangeError('less waits than is to be moved')
      const moved = part.block.copy(
        target,
        to,
        part.start,
        Math.min(part.end, part.start + end - to),
      )
      part.start += moved
      to += moved
      if (part.start === part.end) {
        this.#parts.shift()
        blocks.giveBack(part.block)
      }
    }
    this.bytes -= length
  }

  #partWithRoom(): Part {
    const last = this.#parts.at(-1)
    if (last !== undefined && last.end < last.block.length) return last
    const part = { block: blocks.take(), start: 0, end: 0 }
    this.#parts.push(part)
    return part
  }
}
