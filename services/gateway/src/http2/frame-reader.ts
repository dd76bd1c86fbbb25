import type { HeadBudget } from '@postern/kube-http'
import {
  ErrorCode,
  Flag,
  FRAME_BYTES_MAX,
  FRAME_HEADER_BYTES,
  FrameType,
  Http2Error,
  PREFACE,
} from './frame.ts'

/*
 * What a client sends, cut into frames and read as strictly as RFC 9113 allows.
 *
 * - First the preface, then SETTINGS (3.4).
 * - No frame is larger than we take (4.2), each has a length and a stream that its type can have (6).
 * - Padding is within its frame (6.1, 6.2), and never passed on.
 * - Frames of one field block follow each other, with nothing between (4.3). The block is put together
 *   here, of so many frames and bytes at most.
 * - Types that nobody knows are passed over (4.1); clients push nothing (8.4).
 * - A stream error of the frame itself is one of the connection (5.4.1).
 */

/** Hears what was read, in order. All bytes are good for the call only. */
export type FrameSink = {
  /** A request, or the trailers of one. */
  onFields(streamId: number, block: Buffer, isEnd: boolean): void
  /** The other number is what the frame takes of the windows: padding does, too. */
  onData(streamId: number, bytes: Buffer, windowBytes: number, isEnd: boolean): void
  onReset(streamId: number): void
  onSettings(settings: Iterable<readonly [id: number, value: number]>): void
  onPing(payload: Buffer): void
  onWindowUpdate(streamId: number, bytes: number): void
  /** Something that asks for nothing: priorities, acknowledgements, what nobody knows. */
  onIdleFrame(): void
  /** Once true, the rest of the input is ignored. */
  stopped(): boolean
}

/** As much as the lines themselves may have. */
const BLOCK_BYTES_MAX = 1024 * 1024
const BLOCK_FRAMES_MAX = 256
const SETTING_BYTES = 6
/** More in a frame than there are to set: each is looked at by every stream. */
const SETTINGS_MAX = 32
const NOTHING = Buffer.alloc(0)

/** Payload lengths that a type allows, and whether it is about a stream (RFC 9113, 6). */
const SHAPES: Readonly<
  Record<number, { min: number; max: number; on: 'stream' | 'connection' | 'both' }>
> = {
  [FrameType.DATA]: { min: 0, max: FRAME_BYTES_MAX, on: 'stream' },
  [FrameType.HEADERS]: { min: 0, max: FRAME_BYTES_MAX, on: 'stream' },
  [FrameType.PRIORITY]: { min: 5, max: 5, on: 'stream' },
  [FrameType.RST_STREAM]: { min: 4, max: 4, on: 'stream' },
  [FrameType.SETTINGS]: { min: 0, max: FRAME_BYTES_MAX, on: 'connection' },
  [FrameType.PUSH_PROMISE]: { min: 0, max: FRAME_BYTES_MAX, on: 'stream' },
  [FrameType.PING]: { min: 8, max: 8, on: 'connection' },
  [FrameType.GOAWAY]: { min: 8, max: FRAME_BYTES_MAX, on: 'connection' },
  [FrameType.WINDOW_UPDATE]: { min: 4, max: 4, on: 'both' },
  [FrameType.CONTINUATION]: { min: 0, max: FRAME_BYTES_MAX, on: 'stream' },
}

type Block = {
  readonly streamId: number
  readonly isEnd: boolean
  readonly parts: Buffer[]
  bytes: number
}

/** Holds at most one frame and one field block; what all blocks hold together is in the budget. */
export class FrameReader {
  readonly #sink: FrameSink
  readonly #budget: HeadBudget
  #prefaceBytes = 0
  #hasSettings = false
  /** The beginning of a frame: its header, and room for the rest once that is known. */
  #partial: Buffer | undefined
  #partialBytes = 0
  #block: Block | undefined

  constructor(sink: FrameSink, budget: HeadBudget) {
    this.#sink = sink
    this.#budget = budget
  }

  /** The preface, or a field block, has begun and is not whole. */
  get isWithinHead(): boolean {
    return !this.#hasSettings || this.#block !== undefined
  }

  /** @throws Http2Error; the reader is of no use after that */
  push(chunk: Buffer): void {
    let at = this.#readPreface(chunk)
    while (at < chunk.length && !this.#sink.stopped()) {
      const payloadAt = at + FRAME_HEADER_BYTES
      if (this.#partialBytes > 0 || payloadAt > chunk.length) {
        at = this.#hold(chunk, at)
        continue
      }
      const end = payloadAt + lengthOf(chunk, at)
      if (end > chunk.length) {
        at = this.#hold(chunk, at)
      } else {
        this.#frame(chunk, at, chunk.subarray(payloadAt, end))
        at = end
      }
    }
  }

  /** Nothing is read any more. */
  close(): void {
    this.#budget.bytesLeft += this.#block?.bytes ?? 0
    this.#block = undefined
    this.#partial = undefined
  }

  #readPreface(chunk: Buffer): number {
    if (this.#prefaceBytes === PREFACE.length) return 0
    const end = Math.min(chunk.length, PREFACE.length - this.#prefaceBytes)
    const expected = PREFACE.subarray(this.#prefaceBytes, this.#prefaceBytes + end)
    if (!chunk.subarray(0, end).equals(expected)) {
      throw new Http2Error(ErrorCode.PROTOCOL_ERROR, 'the preface of HTTP/2 is missing')
    }
    this.#prefaceBytes += end
    return end
  }

  /** Keeps a copy of what a frame has by now: the frame is read once it is whole. */
  #hold(chunk: Buffer, from: number): number {
    let at = from
    let held = this.#partial ?? Buffer.allocUnsafe(FRAME_HEADER_BYTES)
    if (this.#partialBytes < FRAME_HEADER_BYTES) {
      at += this.#fill(held, chunk, at)
      if (this.#partialBytes < FRAME_HEADER_BYTES) return at
      const header = held
      held = Buffer.allocUnsafe(FRAME_HEADER_BYTES + lengthOf(header, 0))
      header.copy(held)
    }
    at += this.#fill(held, chunk, at)
    if (this.#partialBytes < held.length) return at
    this.#partial = undefined
    this.#partialBytes = 0
    this.#frame(held, 0, held.subarray(FRAME_HEADER_BYTES))
    return at
  }

  #fill(held: Buffer, chunk: Buffer, at: number): number {
    const copied = chunk.copy(held, this.#partialBytes, at)
    this.#partial = held
    this.#partialBytes += copied
    return copied
  }

  #frame(bytes: Buffer, at: number, payload: Buffer): void {
    const type = bytes.readUInt8(at + 3)
    const flags = bytes.readUInt8(at + 4)
    // The highest bit is reserved, and means nothing (RFC 9113, 4.1).
    const streamId = bytes.readUInt32BE(at + 5) & 0x7fffffff
    if (!this.#hasSettings) {
      const isFirst = type === FrameType.SETTINGS && (flags & Flag.ACK) === 0
      if (!isFirst) throw new Http2Error(ErrorCode.PROTOCOL_ERROR, 'the first frame is no SETTINGS')
      this.#hasSettings = true
    }
    checkShape(type, payload.length, streamId)
    this.#checkOrder(type, streamId)
    switch (type) {
      case FrameType.DATA: {
        const data = unpadded(payload, flags)
        this.#sink.onData(streamId, data, payload.length, (flags & Flag.END_STREAM) !== 0)
        return
      }
      case FrameType.HEADERS:
        this.#onHeaders(streamId, flags, payload)
        return
      case FrameType.CONTINUATION:
        this.#onContinuation(flags, payload)
        return
      case FrameType.RST_STREAM:
        this.#sink.onReset(streamId)
        return
      case FrameType.SETTINGS:
        this.#onSettings(flags, payload)
        return
      case FrameType.PING:
        if ((flags & Flag.ACK) === 0) this.#sink.onPing(payload)
        else this.#sink.onIdleFrame()
        return
      case FrameType.WINDOW_UPDATE:
        this.#sink.onWindowUpdate(streamId, payload.readUInt32BE(0) & 0x7fffffff)
        return
      case FrameType.PUSH_PROMISE:
        throw new Http2Error(ErrorCode.PROTOCOL_ERROR, 'a client pushes nothing')
      default:
        // PRIORITY and GOAWAY as well: a client that goes away just opens no more streams.
        this.#sink.onIdleFrame()
    }
  }

  #checkOrder(type: number, streamId: number): void {
    const block = this.#block
    const isNext = type === FrameType.CONTINUATION && streamId === block?.streamId
    if (block === undefined ? type === FrameType.CONTINUATION : !isNext) {
      throw new Http2Error(ErrorCode.PROTOCOL_ERROR, 'a frame in the middle of a field block')
    }
  }

  #onHeaders(streamId: number, flags: number, payload: Buffer): void {
    const isEnd = (flags & Flag.END_STREAM) !== 0
    const rest = unpadded(payload, flags)
    const priorityBytes = (flags & Flag.PRIORITY) === 0 ? 0 : 5
    if (rest.length < priorityBytes) {
      throw new Http2Error(ErrorCode.FRAME_SIZE_ERROR, 'HEADERS are too short')
    }
    const fragment = priorityBytes === 0 ? rest : rest.subarray(priorityBytes)
    if ((flags & Flag.END_HEADERS) !== 0) {
      this.#sink.onFields(streamId, fragment, isEnd)
      return
    }
    this.#block = { streamId, isEnd, parts: [], bytes: 0 }
    this.#keepFragment(this.#block, fragment)
  }

  #onContinuation(flags: number, payload: Buffer): void {
    const block = this.#block
    if (block === undefined) return
    this.#keepFragment(block, payload)
    if ((flags & Flag.END_HEADERS) === 0) return
    this.#budget.bytesLeft += block.bytes
    this.#block = undefined
    this.#sink.onFields(block.streamId, Buffer.concat(block.parts), block.isEnd)
  }

  /** Not one block, nor those of all connections together, may fill the memory (RFC 9113, 10.5.1). */
  #keepFragment(block: Block, fragment: Buffer): void {
    block.parts.push(fragment.length === 0 ? NOTHING : Buffer.from(fragment))
    block.bytes += fragment.length
    this.#budget.bytesLeft -= fragment.length
    const isTooMuch = block.bytes > BLOCK_BYTES_MAX || block.parts.length > BLOCK_FRAMES_MAX
    if (isTooMuch || this.#budget.bytesLeft < 0) {
      throw new Http2Error(ErrorCode.ENHANCE_YOUR_CALM, 'a field block is too large')
    }
  }

  #onSettings(flags: number, payload: Buffer): void {
    const isAck = (flags & Flag.ACK) !== 0
    if (payload.length % SETTING_BYTES !== 0 || (isAck && payload.length > 0)) {
      throw new Http2Error(ErrorCode.FRAME_SIZE_ERROR, 'SETTINGS of a length that they cannot have')
    }
    if (payload.length > SETTINGS_MAX * SETTING_BYTES) {
      throw new Http2Error(ErrorCode.ENHANCE_YOUR_CALM, 'too many settings')
    }
    if (isAck) this.#sink.onIdleFrame()
    else this.#sink.onSettings(settingsIn(payload))
  }
}

function* settingsIn(payload: Buffer): Generator<readonly [id: number, value: number]> {
  for (let at = 0; at < payload.length; at += SETTING_BYTES) {
    yield [payload.readUInt16BE(at), payload.readUInt32BE(at + 2)]
  }
}

/** What the header there says. */
function lengthOf(bytes: Buffer, at: number): number {
  const length = bytes.readUIntBE(at, 3)
  if (length > FRAME_BYTES_MAX) {
    throw new Http2Error(ErrorCode.FRAME_SIZE_ERROR, `a frame of ${length} bytes`)
  }
  return length
}

function checkShape(type: number, length: number, streamId: number): void {
  const shape = SHAPES[type]
  if (shape === undefined) return
  if (shape.on !== 'both' && (shape.on === 'stream') === (streamId === 0)) {
    throw new Http2Error(ErrorCode.PROTOCOL_ERROR, `a frame of type ${type} on stream ${streamId}`)
  }
  if (length < shape.min || length > shape.max) {
    throw new Http2Error(ErrorCode.FRAME_SIZE_ERROR, `a frame of type ${type} with ${length} bytes`)
  }
}

/** RFC 9113, 6.1: the first byte says how many at the end mean nothing. */
function unpadded(payload: Buffer, flags: number): Buffer {
  if ((flags & Flag.PADDED) === 0) return payload
  const padding = payload[0]
  if (padding === undefined || padding >= payload.length) {
    throw new Http2Error(ErrorCode.PROTOCOL_ERROR, 'more padding than there are bytes')
  }
  return payload.subarray(1, payload.length - padding)
}
