import type { AnswerSink } from '../front/front-interface.ts'
import type { Framing } from './framing.ts'

/** How a flow of bytes to a client ended. */
export type FlowEnd = 'complete' | 'cut' | 'source-lost' | 'client-gone'

/** How long the rest of what is begun may take to arrive before the stream is cut in its middle. */
const REST_MS = 500
/** How long a client may take to read why its stream ends. */
const FAREWELL_MS = 10_000
const NOTHING = Buffer.alloc(0)

/**
 * Bytes on their way to a client that can be told, between two frames, why they end. A clean end is
 * passed on only where the source ended clean, or behind the `lastWord` where it was lost between two.
 */
export class CuttableStream {
  readonly #sink: AnswerSink
  readonly #framing: Framing | undefined
  readonly #lastWord: Buffer | undefined
  readonly #onEnd: (end: FlowEnd) => void
  /** Of a body whose length was said: what is still to come. */
  #owedBytes: number | undefined
  #farewell: Buffer | undefined
  /** Set once nothing more of the source goes through: by whatever came first. */
  #end: FlowEnd | undefined
  #isSettled = false
  #timer: NodeJS.Timeout | undefined
  #bytes = 0

  constructor(order: {
    sink: AnswerSink
    /** Without one nothing can be put in between: a cut just aborts. */
    framing?: Framing | undefined
    /**
     * What the client is told when the source is lost between two frames: an empty word where it may end
     * there. Without one, what was lost is aborted.
     */
    lastWord?: Buffer | undefined
    /** How many bytes there will be, where that was said. */
    lengthBytes?: number | undefined
    /** The last byte is out, or never will be. The source may still have something to say: to nobody. */
    onEnd: (end: FlowEnd) => void
  }) {
    this.#sink = order.sink
    this.#framing = order.framing
    this.#lastWord = order.lastWord
    this.#owedBytes = order.lengthBytes
    this.#onEnd = order.onEnd
  }

  /** What has gone through. */
  get bytes(): number {
    return this.#bytes
  }

  /** Nothing more of the source goes through. */
  get isOver(): boolean {
    return this.#end !== undefined
  }

  // What the source says.

  /** False: wait until the sink has drained. */
  write(chunk: Buffer): boolean {
    if (this.#end !== undefined) return true
    if (this.#owedBytes !== undefined) {
      this.#owedBytes -= chunk.length
      if (this.#owedBytes < 0) {
        this.lose()
        return true
      }
    }
    this.#bytes += chunk.length
    let at = 0
    while (this.#framing !== undefined && at < chunk.length) {
      at = this.#framing.advance(chunk, at)
      if (this.#farewell !== undefined && this.#framing.atBoundary) {
        this.#sink.write(chunk.subarray(0, at))
        this.#endBehind(this.#farewell, 'cut')
        return true
      }
    }
    return this.#sink.write(chunk)
  }

  /** The source has ended clean. */
  end(): void {
    if (this.#end !== undefined) return
    if (this.#owedBytes !== undefined && this.#owedBytes > 0) {
      this.lose()
      return
    }
    clearTimeout(this.#timer)
    this.#end = 'complete'
    this.#sink.end()
  }

  /** No more will come. What came ends behind the last word, if there is one for where it stands. */
  lose(): void {
    if (this.#end !== undefined) return
    if (this.#lastWord !== undefined && this.#framing?.atBoundary === true) {
      this.#endBehind(this.#lastWord, 'source-lost')
    } else {
      this.#abort('source-lost')
    }
  }

  // What becomes of the client.

  sent(): void {
    // An answer without a body is out with its head, whatever its source is still to say.
    this.#end ??= 'complete'
    this.#settle()
  }

  gone(): void {
    // What the source said to its end is complete only once the client has taken it.
    if (this.#end === undefined || this.#end === 'complete') this.#end = 'client-gone'
    this.#settle()
  }

  // What a revocation does.

  /** Sends the farewell at the next boundary, then ends; aborts if there is none in time. */
  cut(farewell: Buffer | undefined): void {
    if (this.#end !== undefined) return
    if (this.#framing === undefined || farewell === undefined) {
      this.#abort('cut')
      return
    }
    this.#farewell ??= farewell
    if (this.#framing.atBoundary) this.#endBehind(this.#farewell, 'cut')
    else this.#abortIn(REST_MS)
  }

  /**
   * Ends at the next boundary without a word, as something that may end at any time: a watch. Answers
   * whether it will.
   */
  conclude(): boolean {
    if (this.#end !== undefined || this.#framing === undefined) return false
    this.#farewell ??= NOTHING
    if (this.#framing.atBoundary) this.#endBehind(this.#farewell, 'cut')
    return true
  }

  #endBehind(word: Buffer, end: FlowEnd): void {
    this.#end = end
    if (word.length > 0) this.#sink.write(word)
    this.#abortIn(FAREWELL_MS)
    this.#sink.end()
  }

  #abortIn(ms: number): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.#abort('cut'), ms)
  }

  #abort(end: FlowEnd): void {
    this.#end ??= end
    this.#sink.abort()
    this.#settle()
  }

  #settle(): void {
    if (this.#isSettled) return
    this.#isSettled = true
    clearTimeout(this.#timer)
    this.#onEnd(this.#end ?? 'client-gone')
  }
}
