/** Buffers of one size that are used again: making one and sweeping it up costs more than filling it. */
export class BufferPool {
  readonly bufferBytes: number
  readonly #keptMax: number
  readonly #kept: Buffer[] = []

  constructor(bufferBytes: number, keptMax: number) {
    this.bufferBytes = bufferBytes
    this.#keptMax = keptMax
  }

  take(): Buffer {
    return this.#kept.pop() ?? Buffer.allocUnsafeSlow(this.bufferBytes)
  }

  /** Nobody reads it any more. */
  giveBack(buffer: Buffer): void {
    if (this.#kept.length < this.#keptMax) this.#kept.push(buffer)
  }
}
