import type { Duplex } from 'node:stream'
import type { MuxLimits, MuxSession, MuxStream } from './api.ts'
import { giveUp } from './buffer-pool.ts'
import { MuxClosedError, MuxProtocolError } from './errors.ts'
import {
  decodeReset,
  encodeGoAway,
  encodePing,
  encodePong,
  encodeReset,
  type FrameHeader,
  FrameType,
  HEAD_BYTES_MAX,
  PAYLOAD_BYTES_MAX,
  RECORD_BYTES,
  STREAM_ID_MAX,
  WINDOW_BYTES,
} from './frame.ts'
import { FrameReader } from './frame-reader.ts'
import { Outbox } from './outbox.ts'
import { Roster } from './roster.ts'
import { Stream, type StreamHost } from './stream.ts'

export type MuxSessionOptions = {
  /** The client opens streams (the gateway), the server accepts them (the agent). */
  readonly role: 'client' | 'server'
  readonly limits?: Partial<MuxLimits>
  /** Calls the task again and again until the answered function is called. */
  readonly every?: Every
}

type Every = (intervalMs: number, task: () => void) => () => void

const DEFAULTS: MuxLimits = {
  unreadBytesMax: 64 * 1024 * 1024,
  streamsMax: 16_384,
  pingIntervalMs: 3_000,
}
/** With this much not taken by the other side no stream is opened; with twice, it is given up. */
const BACKLOG_BYTES = 4 * 1024 * 1024
const SILENT_INTERVALS_MAX = 2
/** How long the last bytes may take to leave. */
const CLOSE_MS = 2000
const PING = Buffer.alloc(8)

/** Takes over the socket: a connected TLSSocket, or any Duplex. */
export function createMuxSession(socket: Duplex, options: MuxSessionOptions): MuxSession {
  return new Session(socket, options)
}

class Session implements MuxSession {
  readonly closed: Promise<{ reason: string; clean: boolean }>
  readonly leaving: Promise<void>
  readonly #resolveLeaving: () => void
  readonly #resolveClosed: (closure: { reason: string; clean: boolean }) => void
  readonly #role: 'client' | 'server'
  readonly #limits: MuxLimits
  readonly #socket: Duplex
  readonly #outbox: Outbox
  readonly #host: StreamHost
  readonly #streams = new Roster<Stream>()
  /** By the id of a stream. What V8 keeps of a Map for too long is numbers here, and no stream. */
  readonly #seatOf = new Map<number, number>()
  readonly #stopPinging: () => void
  #handler: ((stream: MuxStream, head: Buffer) => void) | undefined
  #state: 'open' | 'draining' | 'closed' = 'open'
  /** The other side will open no more streams, or knows that we will not. */
  #peerDraining = false
  #peerReason = 'the other side closed the connection'
  #lastId = 0
  #unreadBytes = 0
  #heard = true
  #silentIntervals = 0

  constructor(socket: Duplex, { role, limits, every = everyInterval }: MuxSessionOptions) {
    let resolveClosed: (closure: { reason: string; clean: boolean }) => void = () => {}
    this.closed = new Promise((resolve) => {
      resolveClosed = resolve
    })
    this.#resolveClosed = resolveClosed
    let resolveLeaving = () => {}
    this.leaving = new Promise((resolve) => {
      resolveLeaving = resolve
    })
    this.#resolveLeaving = resolveLeaving
    this.#role = role
    this.#limits = { ...DEFAULTS, ...limits }
    this.#socket = socket
    this.#outbox = new Outbox(socket)
    this.#host = {
      role,
      windowBytes: () => {
        const plenty = this.#unreadBytes < this.#limits.unreadBytesMax / 2
        return plenty ? WINDOW_BYTES : WINDOW_BYTES / 8
      },
      sendControl: (bytes) => this.#send(bytes),
      sendHead: (id, head) => this.#sendMessage(FrameType.HEAD, id, head),
      isFree: () => this.#outbox.isFree,
      sendBytes: (id, bytes) => this.#outbox.send(id, bytes),
      frameBytes: () => this.#outbox.frameBytes,
      sendEnd: (id) => this.#outbox.frame(FrameType.END, id),
      sendQueued: (id, queued, length) => this.#outbox.data(id, queued, length),
      wantsToSend: (stream) => this.#outbox.add(stream),
      unreadChanged: (bytes) => this.#unreadChanged(bytes),
      forget: (stream) => this.#forget(stream),
    }
    const reader = new FrameReader({
      onData: (id, bytes) => this.#stream(id)?.onData(bytes),
      onMessage: (type, id, message) => this.#onMessage(type, id, message),
      onFrame: (header, payload) => this.#onFrame(header, payload),
      stopped: () => this.#state === 'closed',
    })
    socket.resume()
    socket.on('data', (chunk: Buffer) => {
      this.#heard = true
      this.#read(reader, chunk)
      if (chunk.length >= RECORD_BYTES) giveUp(chunk, socket)
    })
    socket.on('end', () => this.#finish(this.#peerReason))
    socket.on('error', (error) => this.#finish(`the connection failed: ${error.message}`))
    socket.on('close', () => this.#finish('the connection is lost'))
    this.#stopPinging = every(this.#limits.pingIntervalMs, () => this.#ping())
  }

  get state(): 'open' | 'draining' | 'closed' {
    return this.#state
  }

  get streams(): number {
    return this.#streams.size
  }

  open(head: Uint8Array): MuxStream {
    if (head.length > HEAD_BYTES_MAX) throw new RangeError('a head has at most 1 MiB')
    if (this.#role === 'server') throw new Error('only the client side opens streams')
    if (this.#state !== 'open') throw new MuxClosedError(`the connection is ${this.#state}`)
    if (this.#streams.size >= this.#limits.streamsMax) {
      throw new MuxClosedError('the connection has too many streams')
    }
    if (this.#outbox.backlogBytes > BACKLOG_BYTES) {
      throw new MuxClosedError('the connection is congested')
    }
    if (this.#lastId === STREAM_ID_MAX) {
      this.goAway('out of stream ids')
      throw new MuxClosedError('the connection is out of stream ids')
    }
    this.#lastId += 1
    const stream = this.#newStream(this.#lastId)
    this.#sendMessage(FrameType.OPEN, stream.id, head)
    return stream
  }

  onStream(handler: (stream: MuxStream, head: Buffer) => void): void {
    this.#handler = handler
  }

  goAway(reason = ''): void {
    if (this.#state !== 'open') return
    this.#state = 'draining'
    this.#resolveLeaving()
    this.#send(encodeGoAway(reason))
    this.#closeIfDrained()
  }

  close(reason: string): void {
    if (this.#state === 'closed') return
    this.#send(encodeGoAway(reason))
    this.#finish(reason)
  }

  #read(reader: FrameReader, chunk: Buffer): void {
    if (this.#state === 'closed') return
    try {
      reader.push(chunk)
    } catch (error) {
      if (!(error instanceof MuxProtocolError)) throw error
      this.close(`protocol error: ${error.message}`)
    }
  }

  /** The stream that a frame is for; undefined if it ended while the frame was under way. */
  #stream(id: number): Stream | undefined {
    if (id > this.#lastId) throw new MuxProtocolError('a frame for a stream that was never opened')
    const seat = this.#seatOf.get(id)
    return seat === undefined ? undefined : this.#streams.at(seat)
  }

  #onMessage(type: number, id: number, message: Buffer): void {
    if (type === FrameType.OPEN) {
      if (this.#role === 'client') throw new MuxProtocolError('the accepting side opened a stream')
      this.#accept(id, message)
    } else {
      if (this.#role === 'server') throw new MuxProtocolError('the opening side sent a head')
      this.#stream(id)?.onHead(message)
    }
  }

  #accept(id: number, head: Buffer): void {
    if (id <= this.#lastId) throw new MuxProtocolError('a stream id was used again')
    this.#lastId = id
    if (this.#state !== 'open' || this.#handler === undefined) {
      this.#send(encodeReset(id, 'refused', 'the connection is closing'))
    } else if (this.#streams.size >= this.#limits.streamsMax) {
      this.#send(encodeReset(id, 'refused', 'too many streams'))
    } else {
      this.#handler(this.#newStream(id), head)
    }
  }

  #newStream(id: number): Stream {
    const stream = new Stream(id, this.#host)
    this.#seatOf.set(id, this.#streams.add(stream))
    return stream
  }

  #onFrame({ type, streamId }: FrameHeader, payload: Buffer): void {
    switch (type) {
      case FrameType.END:
        this.#stream(streamId)?.onEnd()
        break
      case FrameType.RST: {
        const { code, text } = decodeReset(payload)
        this.#stream(streamId)?.onReset(code, text)
        break
      }
      case FrameType.WINDOW:
        this.#stream(streamId)?.onWindow(payload.readUInt32BE(0))
        break
      case FrameType.PING:
        this.#send(encodePong(payload))
        break
      case FrameType.GOAWAY:
        this.#peerDraining = true
        if (payload.length > 0) this.#peerReason += `: ${payload.toString()}`
        this.goAway()
        this.#closeIfDrained()
        break
      default:
    }
  }

  #send(bytes: Uint8Array): void {
    if (this.#state === 'closed') return
    this.#outbox.control(bytes)
    this.#checkBacklog()
  }

  #checkBacklog(): void {
    if (this.#outbox.backlogBytes > 2 * BACKLOG_BYTES) {
      this.#finish('the other side does not read')
      this.#socket.destroy()
    }
  }

  /** In as many frames as it takes. */
  #sendMessage(
    type: typeof FrameType.OPEN | typeof FrameType.HEAD,
    id: number,
    message: Uint8Array,
  ) {
    if (this.#state === 'closed') return
    let at = 0
    while (message.length - at > PAYLOAD_BYTES_MAX) {
      this.#outbox.frame(type, id, message.subarray(at, at + PAYLOAD_BYTES_MAX), true)
      at += PAYLOAD_BYTES_MAX
    }
    this.#outbox.frame(type, id, at === 0 ? message : message.subarray(at))
    this.#checkBacklog()
  }

  #unreadChanged(bytes: number): void {
    this.#unreadBytes += bytes
    if (bytes < 0 || this.#unreadBytes <= this.#limits.unreadBytesMax) return
    let worst: Stream | undefined
    for (const [, stream] of this.#streams) {
      if (stream.unreadBytes > (worst?.unreadBytes ?? 0)) worst = stream
    }
    worst?.reset('overloaded', 'it was not read while too much waited on its connection')
  }

  #ping(): void {
    this.#silentIntervals = this.#heard ? 0 : this.#silentIntervals + 1
    this.#heard = false
    if (this.#silentIntervals >= SILENT_INTERVALS_MAX) {
      this.#finish('the other side is silent')
      this.#socket.destroy()
    } else {
      this.#send(encodePing(PING))
    }
  }

  #forget(stream: Stream): void {
    const seat = this.#seatOf.get(stream.id)
    if (seat !== undefined) this.#streams.remove(seat, stream)
    this.#seatOf.delete(stream.id)
    this.#outbox.remove(stream)
    this.#closeIfDrained()
  }

  #closeIfDrained(): void {
    if (this.#state !== 'draining' || !this.#peerDraining || this.#streams.size > 0) return
    // The last end may still be on its way into the batch that is being made.
    setImmediate(() => this.#finish('drained'))
  }

  /** Once; the first reason counts. */
  #finish(reason: string): void {
    if (this.#state === 'closed') return
    const clean = this.#state === 'draining' && this.#streams.size === 0
    this.#stopPinging()
    this.#outbox.flush()
    this.#state = 'closed'
    this.#outbox.close()
    this.#socket.end()
    if (!this.#socket.destroyed) setTimeout(() => this.#socket.destroy(), CLOSE_MS).unref()
    const error = new MuxClosedError(reason)
    for (const [, stream] of this.#streams) stream.fail(error)
    this.#resolveLeaving()
    this.#resolveClosed({ reason, clean })
  }
}

function everyInterval(intervalMs: number, task: () => void): () => void {
  const timer = setInterval(task, intervalMs)
  timer.unref()
  return () => clearInterval(timer)
}
