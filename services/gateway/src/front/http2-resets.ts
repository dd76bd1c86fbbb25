import { ErrorCode, encodeReset } from '../http2/frame.ts'
import type { Http2Outbox } from './http2-outbox.ts'

/** curl forgets an answer that comes with the reset of its stream. */
const STOP_MS = 100

/**
 * The streams of a connection that are reset here. What comes on one afterwards was on its way before its
 * client knew, and is no error of it (RFC 9113, 5.1): so many of the last are known again.
 */
export class Http2Resets {
  readonly #outbox: Http2Outbox
  readonly #keptMax: number
  readonly #last: number[] = []
  #count = 0
  /** Their clients are to be asked to send no more. */
  readonly #stopping: number[] = []

  constructor(outbox: Http2Outbox, keptMax: number) {
    this.#outbox = outbox
    this.#keptMax = keptMax
  }

  has(streamId: number): boolean {
    return this.#last.includes(streamId)
  }

  send(streamId: number, code: number): void {
    this.#remember(streamId)
    this.#outbox.control(encodeReset(streamId, code))
  }

  /** The answer is whole, and the client still sends: it is asked to stop once it can have read the answer (8.1). */
  stopSoon(streamId: number): void {
    this.#remember(streamId)
    if (this.#stopping.push(streamId) > 1) return
    setTimeout(() => {
      for (const id of this.#stopping) this.send(id, ErrorCode.NO_ERROR)
      this.#stopping.length = 0
    }, STOP_MS).unref()
  }

  #remember(streamId: number): void {
    if (this.has(streamId)) return
    this.#last[this.#count % this.#keptMax] = streamId
    this.#count += 1
  }
}
