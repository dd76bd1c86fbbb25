import type { ResetCode } from './errors.ts'

/** Streams over one connection. The client side opens them, the server side accepts them. */
export type MuxSession = {
  /**
   * Opens a stream; `head` (at most 1 MiB) travels with it. Needs no round trip.
   * @throws MuxClosedError when closed, draining, full or congested: nothing was sent.
   */
  open(head: Uint8Array): MuxStream
  /**
   * Takes streams that the other side opens. Without a handler they are refused. The head is good for the
   * call only.
   */
  onStream(handler: (stream: MuxStream, head: Buffer) => void): void
  /** No new streams either way; the connection closes when the last one has ended. */
  goAway(reason?: string): void
  /** Closes now. Incomplete streams end with MuxClosedError. */
  close(reason: string): void
  /** Only an `open` session takes new streams. */
  readonly state: 'open' | 'draining' | 'closed'
  /** Streams not yet ended both ways. */
  readonly streams: number
  /** Resolves as soon as it takes no new streams; never rejects. */
  readonly leaving: Promise<void>
  /** Why it closed; never rejects. Clean: it drained, and nothing was cut. */
  readonly closed: Promise<{ readonly reason: string; readonly clean: boolean }>
}

/**
 * One stream: a head and bytes each way, each way ended by itself. Chunks given to it are copied:
 * they are the caller's again. Chunks and heads that it gives are good for the call only: whoever keeps
 * them copies them.
 */
export type MuxStream = {
  readonly id: number
  /** Who takes what arrives. Until then, and while paused, it waits here, at most a window. */
  receive(receiver: StreamReceiver): void
  /** The answering head; the accepting side sends it once, before bytes. */
  sendHead(head: Uint8Array): void
  /** False: wait for `onDrain` before writing more. */
  write(chunk: Uint8Array): boolean
  /** A clean end of what we send, behind everything written. */
  end(): void
  /** Reads no more; what we send still arrives whole. The other side is told to stop. */
  discard(): void
  /** Aborts both ways, dropping what waits. */
  reset(code: ResetCode, text?: string): void
  pause(): void
  resume(): void
  readonly closed: boolean
}

/** Called in order: `onHead` (opening side only), `onData`, `onEnd`; `onClose` last and once. */
export type StreamReceiver = {
  onHead?(head: Buffer): void
  onData(chunk: Buffer): void
  onEnd(): void
  onDrain?(): void
  /** Both ways ended (no error), or aborted: MuxResetError or MuxClosedError. */
  onClose(error: Error | undefined): void
}

export type MuxLimits = {
  /** What may wait unread on all streams together; beyond it the largest is reset. A stream has at most 256 KiB. */
  readonly unreadBytesMax: number
  readonly streamsMax: number
  readonly pingIntervalMs: number
}
