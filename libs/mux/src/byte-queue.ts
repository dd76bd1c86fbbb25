import { BufferPool } from './buffer-pool.ts'

/** For what waits in all queues; of those that are free, 2 MiB are kept. */
const blocks = new BufferPool(32 * 1024, 64)

/** Bytes of a block that wait. */
type Part = { readonly block: Buffer; start: number; end: number }

/** Bytes that wait, copied into blocks: however small the pieces are that come, they take what their bytes take. */
export class ByteQueue {
  #parts: Part[] = []
  #bytes = 0

  get bytes(): number {
    return this.#bytes
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
    this.#bytes += chunk.length
  }

  /** The first bytes, as many as lie together; they are good until the next call. */
  first(bytesMax: number): Buffer {
    const [part] = this.#parts
    if (part === undefined) throw new RangeError('nothing waits')
    return part.block.subarray(part.start, Math.min(part.end, part.start + bytesMax))
  }

  /** Drops bytes that `first` gave. */
  drop(bytes: number): void {
    const [part] = this.#parts
    if (part === undefined || bytes > part.end - part.start) {
      throw new RangeError('less waits than is to be dropped')
    }
    part.start += bytes
    this.#bytes -= bytes
    if (part.start < part.end) return
    this.#parts.shift()
    blocks.giveBack(part.block)
  }

  /** Moves the first bytes into the target. */
  moveTo(target: Buffer, at: number, length: number): void {
    for (let moved = 0; moved < length; ) {
      const bytes = this.first(length - moved)
      bytes.copy(target, at + moved)
      moved += bytes.length
      this.drop(bytes.length)
    }
  }

  clear(): void {
    for (const { block } of this.#parts) blocks.giveBack(block)
    this.#parts = []
    this.#bytes = 0
  }

  #partWithRoom(): Part {
    const last = this.#parts.at(-1)
    if (last !== undefined && last.end < last.block.length) return last
    const part = { block: blocks.take(), start: 0, end: 0 }
    this.#parts.push(part)
    return part
  }
}
