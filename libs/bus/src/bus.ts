/** The message bus. Nothing here ever blocks a start: without a server, sends are dropped or fail fast. */
export type Bus = {
  /** Best effort, at most once. Silent when the bus is down. */
  publishCore(subject: string, data: Uint8Array): void
  /** Calls the handler for each core message; survives reconnects. Answers a function that ends it. */
  subscribeCore(
    subject: string,
    handler: (data: Uint8Array, reply?: (data: Uint8Array) => void) => void,
  ): () => void
  /** A core request. Rejects when the deadline passes or the bus is down. */
  request(subject: string, data: Uint8Array, options: { timeoutMs: number }): Promise<Uint8Array>
  /** The ordered copy of one log. */
  stream(name: string): BusStream
  readonly connected: boolean
  close(): Promise<void>
}

export type BusMessage = {
  /** Stream sequence, equal to the position in the log. */
  readonly seq: bigint
  readonly subject: string
  readonly headers: Readonly<Record<string, string>>
  readonly data: Uint8Array
}

export type BusStream = {
  /** Makes the stream, or brings its configuration up to date. `firstSeq` only matters for a new one. */
  ensure(options: {
    subjects: readonly string[]
    firstSeq?: bigint
    maxAgeSeconds: number
  }): Promise<void>
  /** Sequence of the last message, also when it was removed; 0n for a new stream. */
  lastSeq(): Promise<bigint>
  /**
   * Publishes with Nats-Expected-Last-Sequence.
   * @throws WrongLastSequenceError
   */
  publish(message: Omit<BusMessage, 'seq'>, expectedLastSeq: bigint): Promise<void>
  /** Follows from a sequence on, in order; starts anew by itself after a loss of the connection. */
  follow(afterSeq: bigint, onMessage: (message: BusMessage) => void): () => void
}

/** The stream is not where the publisher thought. */
export class WrongLastSequenceError extends Error {
  override readonly name = 'WrongLastSequenceError'
}
