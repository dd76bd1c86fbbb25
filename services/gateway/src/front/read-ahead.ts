import type { Duplex } from 'node:stream'

const EMPTY: Buffer = Buffer.alloc(0)
const AHEAD_BYTES = 16 * 1024

/** Whoever reads what a client sends, as far as the order of things lets it. */
export type ByteTaker = {
  takesBytes(): boolean
  /** Gives back with `keep` what it does not take now. */
  take(bytes: Buffer): void
}

/**
 * What has come from a client and was not looked at yet. It is given in order, never from within the
 * taker itself, and its client is held up while there is much of it.
 */
export class ReadAhead {
  readonly #socket: Duplex
  readonly #taker: ByteTaker
  #bytes = EMPTY
  #isAdvancing = false
  #isReleased = false

  constructor(socket: Duplex, taker: ByteTaker) {
    this.#socket = socket
    this.#taker = taker
    socket.on('data', this.#onData)
  }

  get isEmpty(): boolean {
    return this.#bytes.length === 0
  }

  keep(rest: Buffer): void {
    // No bytes of something would hold on to all of it, for as long as nothing else comes.
    this.#bytes = rest.length === 0 ? EMPTY : rest
  }

  /** Gives what the taker takes by now. */
  advance(): void {
    if (this.#isAdvancing) return
    this.#isAdvancing = true
    while (this.#bytes.length > 0 && this.#taker.takesBytes()) {
      const bytes = this.#bytes
      this.#bytes = EMPTY
      this.#taker.take(bytes)
    }
    this.#isAdvancing = false
    this.#holdUpSender()
  }

  /** Not from within whoever has just answered or asked for more. */
  advanceLater(): void {
    if (this.#bytes.length > 0 && !this.#isAdvancing) process.nextTick(() => this.advance())
  }

  /** Leaves the socket to somebody else, who reads what is here first. */
  release(): void {
    this.#isReleased = true
    this.#socket.off('data', this.#onData)
    this.#socket.pause()
    if (this.#bytes.length > 0) this.#socket.unshift(this.#bytes)
    this.#bytes = EMPTY
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#bytes = this.#bytes.length === 0 ? chunk : Buffer.concat([this.#bytes, chunk])
    this.advance()
  }

  /** At most a chunk more than this is kept of what nobody takes yet. */
  #holdUpSender(): void {
    if (this.#isReleased) return
    if (this.#bytes.length > AHEAD_BYTES) this.#socket.pause()
    else if (this.#socket.isPaused()) this.#socket.resume()
  }
}
