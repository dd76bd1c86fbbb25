import { Transform, type TransformCallback } from 'node:stream'
import type { Framing } from './framing.ts'

/** How long the rest of what is begun may take to arrive before the stream is cut in its middle. */
const REST_MS = 500
const NOTHING = Buffer.alloc(0)

/** Bytes on their way to a client that can be told, between two frames, why they end. */
export class CuttableStream extends Transform {
  readonly #framing: Framing | undefined
  #farewell: Buffer | undefined
  #over = false
  #sourceLost = false
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

  /**
   * Ends at the next boundary without a word, as something that may end at any time: a watch. Answers
   * whether it will.
   */
  conclude(): boolean {
    if (this.#over || this.destroyed || this.#framing === undefined) return false
    this.#farewell ??= NOTHING
    if (this.#framing.atBoundary) this.#sayFarewell()
    return true
  }

  /** No more will come. What came ends clean if it ends at a boundary, and is aborted if not. */
  endWithoutSource(): void {
    if (this.#over || this.destroyed) return
    this.#sourceLost = true
    this.end()
  }

  override _flush(done: TransformCallback): void {
    const isTorn = this.#sourceLost && this.#framing?.atBoundary !== true
    done(isTorn ? new CutError() : null)
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
