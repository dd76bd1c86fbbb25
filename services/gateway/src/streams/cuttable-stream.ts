import { Transform, type TransformCallback } from 'node:stream'
import type { Framing } from './framing.ts'

/** How long the rest of what is begun may take to arrive before the stream is cut in its middle. */
const REST_MS = 500

/** Bytes on their way to a client that can be told, between two frames, why they end. */
export class CuttableStream extends Transform {
  readonly #framing: Framing | undefined
  #farewell: Buffer | undefined
  #over = false
  #bytes = 0

  /** Without a framing nothing can be put in between: a cut just aborts. */
  constructor(framing?: Framing) {
    super({ highWaterMark: 64 * 1024 })
    this.#framing = framing
  }

  /** What has gone through. */
  get bytes(): number {
    return this.#bytes
  }

  /** Sends the farewell at the next boundary, then ends; aborts if there is none in time. */
  cut(farewell: Buffer | undefined): void {
    if (this.#over || this.destroyed) return
    if (this.#framing === undefined || farewell === undefined) {
      this.destroy(new CutError())
      return
    }
    this.#farewell ??= farewell
    if (this.#framing.atBoundary) {
      this.#sayFarewell()
      return
    }
    const timer = setTimeout(() => {
      if (!this.#over) this.destroy(new CutError())
    }, REST_MS)
    this.once('close', () => clearTimeout(timer))
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    if (this.#over) {
      done()
      return
    }
    this.#bytes += chunk.length
    let at = 0
    while (this.#framing !== undefined && at < chunk.length) {
      at = this.#framing.advance(chunk, at)
      if (this.#farewell !== undefined && this.#framing.atBoundary) {
        this.push(chunk.subarray(0, at))
        this.#sayFarewell()
        done()
        return
      }
    }
    done(null, chunk)
  }

  #sayFarewell(): void {
    this.#over = true
    this.push(this.#farewell)
    this.push(null)
  }
}

/** The right to what a stream carries has ended. */
class CutError extends Error {
  override readonly name = 'CutError'

  constructor() {
    super('the stream was cut')
  }
}
