import { MuxProtocolError } from './errors.ts'
import { type FrameHeader, FrameType, HEAD_BYTES_MAX, HEADER_BYTES, readHeader } from './frame.ts'

export type FrameSink = {
  /** Bytes of a DATA frame as they arrive: slices of what was read. */
  onData(streamId: number, bytes: Buffer): void
  /** A message, put together from its frames. */
  onMessage(type: typeof FrameType.OPEN | typeof FrameType.HEAD, id: number, message: Buffer): void
  /** Any other frame, whole. */
  onFrame(header: FrameHeader, payload: Buffer): void
  /** Once true, the rest of the input is ignored. */
  stopped(): boolean
}

/** Cuts a byte stream into frames. Holds at most one message of 1 MiB and one frame. */
export class FrameReader {
  readonly #sink: FrameSink
  readonly #partialHeader = Buffer.alloc(HEADER_BYTES)
  #headerBytes = 0
  #header: FrameHeader | undefined
  #missing = 0
  #payload: Buffer | undefined
  #message: { type: number; streamId: number; bytes: number; parts: Buffer[] } | undefined

  constructor(sink: FrameSink) {
    this.#sink = sink
  }

  /** @throws MuxProtocolError; the reader is of no use after that */
  push(chunk: Buffer): void {
    let at = 0
    while (at < chunk.length && !this.#sink.stopped()) {
      at = this.#header === undefined ? this.#readHeader(chunk, at) : this.#readPayload(chunk, at)
    }
  }

  #readHeader(chunk: Buffer, at: number): number {
    let end = at + HEADER_BYTES
    let header: FrameHeader
    if (this.#headerBytes === 0 && end <= chunk.length) {
      header = readHeader(chunk, at)
    } else {
      end = Math.min(chunk.length, at + HEADER_BYTES - this.#headerBytes)
      chunk.copy(this.#partialHeader, this.#headerBytes, at, end)
      this.#headerBytes += end - at
      if (this.#headerBytes < HEADER_BYTES) return end
      this.#headerBytes = 0
      header = readHeader(this.#partialHeader, 0)
    }
    const message = this.#message
    if (
      message !== undefined &&
      (header.type !== message.type || header.streamId !== message.streamId)
    ) {
      throw new MuxProtocolError('a frame in the middle of a message')
    }
    if (header.length > 0) {
      this.#header = header
      this.#missing = header.length
    } else {
      this.#frame(header, Buffer.alloc(0))
    }
    return end
  }

  #readPayload(chunk: Buffer, at: number): number {
    const header = this.#header
    if (header === undefined) return at
    const end = Math.min(chunk.length, at + this.#missing)
    const bytes = chunk.subarray(at, end)
    this.#missing -= bytes.length
    if (this.#missing === 0) this.#header = undefined
    if (header.type === FrameType.DATA) {
      this.#sink.onData(header.streamId, bytes)
    } else if (this.#missing === 0 && this.#payload === undefined) {
      this.#frame(header, bytes)
    } else {
      // A copy, so that a slowly arriving frame does not hold on to all that was read with it.
      const payload = this.#payload ?? Buffer.allocUnsafe(header.length)
      bytes.copy(payload, header.length - this.#missing - bytes.length)
      this.#payload = this.#missing > 0 ? payload : undefined
      if (this.#missing === 0) this.#frame(header, payload)
    }
    return end
  }

  #frame(header: FrameHeader, payload: Buffer): void {
    if (header.type !== FrameType.OPEN && header.type !== FrameType.HEAD) {
      this.#sink.onFrame(header, payload)
      return
    }
    const { type, streamId } = header
    if (this.#message === undefined && !header.more) {
      this.#sink.onMessage(type, streamId, payload)
      return
    }
    const message = this.#message ?? { type, streamId, bytes: 0, parts: [] }
    message.bytes += payload.length
    if (message.bytes > HEAD_BYTES_MAX) throw new MuxProtocolError('a head of more than 1 MiB')
    message.parts.push(header.more ? Buffer.from(payload) : payload)
    this.#message = header.more ? message : undefined
    if (header.more) return
    const whole = Buffer.concat(message.parts)
    this.#sink.onMessage(type, streamId, whole)
  }
}
