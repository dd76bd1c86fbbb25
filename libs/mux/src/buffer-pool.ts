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

/**
 * What was read from a socket is of no more use, and its memory serves the next read. Left to the collector,
 * which only looks after many megabytes of them, the chunks cost more than carrying them does.
 */
export function giveUp(chunk: Buffer, from: Duplex): void {
  const { buffer } = chunk
  // Only what a socket has read is nobody else's.
  const isAllOfIt = from instanceof Socket && chunk.length === buffer.byteLength
  if (isAllOfIt && buffer instanceof ArrayBuffer) buffer.transfer(0)
}
