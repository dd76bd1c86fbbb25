/**
 * The message bus, as far as Postern uses it: it only sends. Whoever holds nats-server can say anything
 * there, so nothing can be received. Nothing here ever blocks a start: without a server, sends are
 * dropped or fail fast.
 */
export type Bus = {
  /** Best effort, at most once. Silent when the bus is down. */
  publishCore(subject: string, data: Uint8Array): void
  /** The ordered copy of one log. */
  stream(name: string): BusStream
  readonly connected: boolean
  /** Why it is not connected, in words for an operator. `undefined` while it is. */
  readonly problem: string | undefined
  /** Called each time a connection was made, also again. Answers a function that ends it. */
  onConnect(listener: () => void): () => void
  close(): Promise<void>
}

export type BusMessage = {
  /** Stream sequence, equal to the position in the log. */
  readonly seq: bigint
  readonly subject: string
  readonly headers: Readonly<Record<string, string>>
  readonly data: Uint8Array
}

export type StreamSettings = {
  readonly subjects: readonly string[]
  /** Sequence of the first message of a new stream. An existing one keeps its numbers. */
  readonly firstSeq?: bigint
  readonly maxAgeSeconds: number
  /** 1 GiB unless said otherwise. The oldest messages go first. */
  readonly maxBytes?: number
  /** What the stream is a copy of. A stream of another epoch is deleted and made anew. */
  readonly epoch?: string
}

export type BusStream = {
  /** Makes the stream, or brings its configuration up to date. Answers as `lastSeq`. */
  ensure(settings: StreamSettings): Promise<bigint>
  /**
   * Sequence of the last message, also when it was removed; 0n for a new stream.
   * @throws StreamMissingError
   */
  lastSeq(): Promise<bigint>
  /**
   * Publishes them in their order, each with Nats-Expected-Last-Sequence: it is taken at its own place in
   * the stream or not at all, so that none is there twice and none is missing before another. Where this
   * throws, some may be there: `lastSeq` says which.
   * @throws WrongLastSequenceError also where they are there and only the answer was lost
   */
  publish(messages: readonly Omit<BusMessage, 'seq'>[], expectedLastSeq: bigint): Promise<void>
  /** It and all its messages are gone; what deletes it makes it anew. */
  delete(): Promise<void>
}

/** The stream is not where the publisher thought. */
export class WrongLastSequenceError extends Error {
  override readonly name = 'WrongLastSequenceError'
}

/** There is no such stream: nobody has made it, or it was wiped. */
export class StreamMissingError extends Error {
  override readonly name = 'StreamMissingError'
}

/** There is no connection to the bus now. */
export class BusUnavailableError extends Error {
  override readonly name = 'BusUnavailableError'
}
