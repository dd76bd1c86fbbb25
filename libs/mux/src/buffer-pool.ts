import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'

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

  /**
   * Writes the first bytes of a buffer that was taken, which is used again afterwards. What a socket has
   * called written is nowhere any more; another Duplex may have handed it on, and keeps it.
   */
  writeTo(socket: Duplex, buffer: Buffer, bytes: number, onWritten?: () => void): void {
    const comesBack = socket instanceof Socket
    socket.write(buffer.subarray(0, bytes), () => {
      if (comesBack) this.giveBack(buffer)
      onWritten?.()
    })
  }

  /** Nobody reads it any more. */
  giveBack(buffer: Buffer): void {
    if (this.#kept.length < this.#keptMax) this.#kept.push(buffer)
  }
}
