import type { Duplex } from 'node:stream'
import { giveUp, Roster } from '@postern/mux'
import { FieldCodingError, FieldDecoder, type FieldLine } from '../http2/field-decoder.ts'
import {
  ErrorCode,
  encodeGoAway,
  encodePingAck,
  encodeSettings,
  encodeWindowUpdate,
  FRAME_BYTES_LIMIT,
  FRAME_BYTES_MAX,
  Http2Error,
  INITIAL_WINDOW_BYTES,
  SETTINGS_ACK,
  Setting,
  STREAM_ID_MAX,
  WINDOW_BYTES_MAX,
} from '../http2/frame.ts'
import { FrameReader, type FrameSink } from '../http2/frame-reader.ts'
import { createTokenBucket, type TokenBucket } from '../limits/token-bucket.ts'
import { BODY_TOO_SLOW } from './front-limits.ts'
import type { FrontNeeds } from './front-needs.ts'
import { Http2Exchange } from './http2-exchange.ts'
import { areTrailers, Http2HeadReader } from './http2-head.ts'
import { Http2Outbox } from './http2-outbox.ts'
import { Http2Resets } from './http2-resets.ts'
import {
  type AskedFor,
  Http2Stream,
  RECEIVE_WINDOW_BYTES,
  type StreamHost,
} from './http2-stream.ts'
import type { Peer } from './peer.ts'

/*
 * One connection of a client that speaks HTTP/2 (RFC 9113).
 *
 *   open ── GOAWAY of ours ──▶ last streams ── the last has ended ──▶ closing ──▶ closed
 *   open or last streams ── an error of the connection ──▶ closing
 *
 * - Streams are opened in the order of their ids (5.1.1), so many at once (5.1.2); more are refused, and
 *   nothing was done with them.
 * - What breaks a stream resets it alone; what breaks the connection ends it with a reason (5.4).
 * - What costs us work and gives the client no answer (resets, pings, settings, frames of nothing) is
 *   bounded for each connection (10.5): no flood of it is cheaper for its sender than requests are.
 * - A connection ends in two steps: our end is closed behind the last frame, and what still comes is
 *   dropped for a while, or the client would lose the answers to a reset.
 */

export type Http2Needs = FrontNeeds & {
  readonly onClosed: (connection: Http2Connection) => void
}

const STREAMS_MAX = 500
/** As kube-apiserver. */
const FIELD_LIST_BYTES_MAX = 1024 * 1024
const FIELD_LINES_MAX = 1_000
/** What a table of fields holds as long as nobody says otherwise (RFC 7541, 4.2; RFC 9113, 6.5.2). */
const FIELD_TABLE_BYTES = 4_096
/** What all bodies of a connection may have before they are taken. */
const CONNECTION_WINDOW_BYTES = 4 * 1024 * 1024
/** Five hundred watches may end at once. */
const NUISANCES = { perSecond: 100, burst: 2_000 }
const NOTHING = Buffer.alloc(0)

const SETTINGS = encodeSettings([
  [Setting.MAX_CONCURRENT_STREAMS, STREAMS_MAX],
  [Setting.INITIAL_WINDOW_SIZE, RECEIVE_WINDOW_BYTES],
  [Setting.MAX_HEADER_LIST_SIZE, FIELD_LIST_BYTES_MAX],
])

export class Http2Connection implements StreamHost, FrameSink {
  readonly outbox: Http2Outbox
  readonly resets: Http2Resets
  readonly #socket: Duplex
  readonly #peer: Peer
  readonly #needs: Http2Needs
  readonly #reader: FrameReader
  readonly #fields = new FieldDecoder({
    tableBytes: FIELD_TABLE_BYTES,
    listBytesMax: FIELD_LIST_BYTES_MAX,
    linesMax: FIELD_LINES_MAX,
  })
  readonly #heads: Http2HeadReader
  readonly #bornAt = Date.now()
  readonly #nuisances: TokenBucket = createTokenBucket(NUISANCES)
  #phase: 'open' | 'last streams' | 'closing' = 'open'
  /** A preface or a field block has begun then, and is not whole. */
  #withinSinceMs: number | undefined
  /** Where nothing runs, or while it closes: until then. */
  #deadlineAt: number
  readonly #streams = new Roster<Http2Stream>()
  #lastStreamId = 0
  /** Streams with more than this are not begun any more. */
  #lastStreamIdMax = STREAM_ID_MAX
  /** The window of the connection has opened. */
  #isDrainDue = false
  /** What a new stream may send to the client. */
  #streamSendWindow = INITIAL_WINDOW_BYTES
  // What we take of all bodies together.
  #receiveWindow = CONNECTION_WINDOW_BYTES
  #takenBytes = 0

  constructor(socket: Duplex, peer: Peer, needs: Http2Needs) {
    this.outbox = new Http2Outbox(socket, needs)
    // Of all that may be open at once, and as many that came behind them.
    this.resets = new Http2Resets(this.outbox, 2 * STREAMS_MAX)
    this.#socket = socket
    this.#peer = peer
    this.#needs = needs
    this.#reader = new FrameReader(this, needs.headBudget)
    this.#heads = new Http2HeadReader(peer)
    this.#withinSinceMs = this.#bornAt
    this.#deadlineAt = this.#bornAt + needs.limits.idleMs
    socket.on('data', this.#onBytes)
    socket.on('end', () => this.#onEnd())
    socket.on('error', ignore)
    socket.on('close', () => this.#onClose())
    this.outbox.control(SETTINGS)
    const more = CONNECTION_WINDOW_BYTES - INITIAL_WINDOW_BYTES
    this.outbox.control(encodeWindowUpdate(0, more))
  }

  /** RFC 9113, 6.8: a first GOAWAY that refuses nothing, so that no request under way is lost to it. */
  announceEnd(): void {
    if (this.#phase === 'open')
      this.outbox.control(encodeGoAway(STREAM_ID_MAX, ErrorCode.NO_ERROR, ''))
  }

  /** Takes no new streams, and closes once the last one has ended. */
  close(): void {
    if (this.#phase !== 'open') return
    this.#phase = 'last streams'
    this.#lastStreamIdMax = this.#lastStreamId
    this.outbox.control(encodeGoAway(this.#lastStreamId, ErrorCode.NO_ERROR, ''))
    this.#closeIfOver()
  }

  destroy(): void {
    this.#socket.destroy()
  }

  /** Called now and then. */
  checkDeadline(nowMs: number): void {
    if (this.#phase === 'closing') {
      if (nowMs >= this.#deadlineAt) this.destroy()
      return
    }
    const { headMs, ageMs, bodySilenceMs } = this.#needs.limits
    for (const [, stream] of this.#streams) {
      if (stream.waitedMs(nowMs) > bodySilenceMs) this.#giveUpOn(stream)
    }
    if (nowMs - (this.#withinSinceMs ?? nowMs) > headMs) {
      this.#fail(ErrorCode.ENHANCE_YOUR_CALM, 'a request came too slowly')
    } else if (nowMs >= this.#deadlineAt || nowMs - this.#bornAt > ageMs) {
      this.close()
    }
  }

  // What streams ask for.

  taken(stream: Http2Stream | undefined, bytes: number): void {
    this.#takenBytes += bytes
    if (this.#takenBytes >= CONNECTION_WINDOW_BYTES / 4) {
      this.#receiveWindow += this.#takenBytes
      this.outbox.control(encodeWindowUpdate(0, this.#takenBytes))
      this.#takenBytes = 0
    }
    if (stream === undefined || stream.isWhole || stream.gone) return
    const taken = stream.takenBytes
    if (taken < RECEIVE_WINDOW_BYTES / 4) return
    stream.credited(taken)
    this.outbox.control(encodeWindowUpdate(stream.id, taken))
  }

  leave(stream: Http2Stream): void {
    if (!this.#streams.remove(stream.seat, stream)) return
    this.outbox.leave(stream)
    if (this.#streams.size > 0 || this.#phase === 'closing') return
    this.#deadlineAt = Date.now() + this.#needs.limits.idleMs
    this.#closeIfOver()
  }

  // What the client does.

  readonly #onBytes = (chunk: Buffer): void => {
    if (this.#phase === 'closing') return
    try {
      this.#reader.push(chunk)
    } catch (error) {
      if (!(error instanceof Http2Error)) throw error
      this.#fail(error.code, error.message)
    }
    if (this.#isDrainDue) {
      this.#isDrainDue = false
      this.outbox.drain()
    }
    if (this.#reader.isWithinHead) this.#withinSinceMs ??= Date.now()
    else this.#withinSinceMs = undefined
    giveUp(chunk, this.#socket)
  }

  stopped(): boolean {
    return this.#phase === 'closing'
  }

  onFields(streamId: number, block: Buffer, isEnd: boolean): void {
    this.#withinSinceMs = undefined
    // Also of what is not looked at: or the tables of both sides would differ (RFC 9113, 4.3).
    const fields = this.#decode(block)
    if (streamId > this.#lastStreamIdMax) return
    if (streamId % 2 === 0) {
      this.#fail(ErrorCode.PROTOCOL_ERROR, 'a client opens streams with odd ids')
    } else if (streamId <= this.#lastStreamId) {
      this.#onTrailers(streamId, fields, isEnd)
    } else {
      this.#lastStreamId = streamId
      if (this.#streams.size < STREAMS_MAX) this.#onRequest(streamId, fields, isEnd)
      else this.#resetStream(streamId, ErrorCode.REFUSED_STREAM)
    }
  }

  onData(streamId: number, bytes: Buffer, windowBytes: number, isEnd: boolean): void {
    this.#receiveWindow -= windowBytes
    if (this.#receiveWindow < 0) {
      this.#fail(ErrorCode.FLOW_CONTROL_ERROR, 'more bytes than the window of the connection takes')
      return
    }
    if (bytes.length === 0 && !isEnd) this.onIdleFrame()
    const stream = this.#streamOf(streamId)
    const flaw = stream?.onData(bytes, windowBytes, isEnd)
    if (stream !== undefined && flaw === undefined) return
    // It is for nobody.
    this.taken(undefined, windowBytes)
    if (stream !== undefined && flaw !== undefined) this.#break(stream, flaw)
    else if (this.#isIdle(streamId)) this.#fail(ErrorCode.PROTOCOL_ERROR, 'DATA before HEADERS')
    else if (!this.#isOnItsWay(streamId)) this.#resetStream(streamId, ErrorCode.STREAM_CLOSED)
  }

  onReset(streamId: number): void {
    if (this.#isIdle(streamId)) {
      this.#fail(ErrorCode.PROTOCOL_ERROR, 'a stream is reset that was never opened')
      return
    }
    this.onIdleFrame()
    this.#streamOf(streamId)?.onGone()
  }

  onSettings(settings: Iterable<readonly [id: number, value: number]>): void {
    this.onIdleFrame()
    for (const [id, value] of settings) this.#onSetting(id, value)
    this.outbox.control(SETTINGS_ACK)
  }

  onPing(payload: Buffer): void {
    this.onIdleFrame()
    this.outbox.control(encodePingAck(payload))
  }

  onWindowUpdate(streamId: number, bytes: number): void {
    if (streamId === 0) {
      if (bytes === 0) this.#fail(ErrorCode.PROTOCOL_ERROR, 'no credit at all')
      else if (!this.outbox.addSendWindow(bytes)) {
        this.#fail(ErrorCode.FLOW_CONTROL_ERROR, 'more credit than a window can have')
      } else this.#isDrainDue = true
      return
    }
    if (this.#isIdle(streamId)) {
      this.#fail(ErrorCode.PROTOCOL_ERROR, 'credit for a stream that was never opened')
      return
    }
    const stream = this.#streamOf(streamId)
    if (stream === undefined) return
    if (bytes === 0) this.#break(stream, ErrorCode.PROTOCOL_ERROR)
    else if (!stream.addSendWindow(bytes)) this.#break(stream, ErrorCode.FLOW_CONTROL_ERROR)
    else stream.drain()
  }

  onIdleFrame(): void {
    if (this.#nuisances.take(Date.now())) return
    this.#fail(ErrorCode.ENHANCE_YOUR_CALM, 'too many frames that ask for nothing')
  }

  #decode(block: Buffer): FieldLine[] | undefined {
    try {
      return this.#fields.decode(block)
    } catch (error) {
      if (!(error instanceof FieldCodingError)) throw error
      throw new Http2Error(ErrorCode.COMPRESSION_ERROR, error.message)
    }
  }

  #onRequest(streamId: number, fields: FieldLine[] | undefined, isWhole: boolean): void {
    if (fields === undefined) {
      // Whether an answer to it has a body is not known.
      const why = { status: 431, problem: 'the header lines are too large', text: '' }
      this.#refuse(streamId, isWhole, why)
      return
    }
    const read = this.#heads.read(fields, isWhole)
    if ('malformed' in read) {
      this.#needs.onMalformed(this.#peer.remoteAddress, `${read.malformed} is malformed`)
      this.#resetStream(streamId, ErrorCode.PROTOCOL_ERROR)
      return
    }
    if ('problem' in read) {
      this.#refuse(streamId, isWhole, { ...read, text: read.problem })
      return
    }
    const { head, bodyBytes, expectsContinue } = read
    const { method } = head
    const stream = this.#openStream(streamId, { method, isWhole, bodyBytes, expectsContinue })
    this.#needs.handle(new Http2Exchange(head, stream, () => this.close()))
  }

  /** Answers without looking further: the head itself is wrong. */
  #refuse(
    streamId: number,
    isWhole: boolean,
    why: { method?: string; status: number; problem: string; text: string },
  ): void {
    this.#needs.onMalformed(this.#peer.remoteAddress, why.problem)
    this.onIdleFrame()
    if (this.#phase === 'closing') return
    const { method = 'GET', status, text } = why
    this.#openStream(streamId, { method, isWhole }).refuse(status, text)
  }

  /** Its client neither says nor takes what it is waited for. */
  #giveUpOn(stream: Http2Stream): void {
    if (stream.responded) {
      this.#break(stream, ErrorCode.CANCEL)
      return
    }
    const { status, problem } = BODY_TOO_SLOW
    this.#needs.onMalformed(this.#peer.remoteAddress, problem)
    stream.refuse(status, problem)
  }

  #openStream(id: number, asked: AskedFor): Http2Stream {
    const stream = new Http2Stream(id, this, asked, this.#streamSendWindow)
    stream.seat = this.#streams.add(stream)
    this.#deadlineAt = Number.POSITIVE_INFINITY
    return stream
  }

  #onTrailers(streamId: number, fields: FieldLine[] | undefined, isEnd: boolean): void {
    const stream = this.#streamOf(streamId)
    if (stream === undefined) {
      if (this.#isOnItsWay(streamId)) return
      this.#fail(ErrorCode.STREAM_CLOSED, 'HEADERS on a stream that is closed')
      return
    }
    const isTrailers = isEnd && fields !== undefined && areTrailers(fields)
    const flaw = isTrailers ? stream.onData(NOTHING, 0, true) : ErrorCode.PROTOCOL_ERROR
    if (flaw !== undefined) this.#break(stream, flaw)
  }

  /** The client has broken it: whoever answers it is told that the client is gone. */
  #break(stream: Http2Stream, code: number): void {
    stream.onGone()
    this.#resetStream(stream.id, code)
  }

  /** A client can have us reset as cheaply as it resets itself (RFC 9113, 10.5). */
  #resetStream(streamId: number, code: number): void {
    this.onIdleFrame()
    if (this.#phase !== 'closing') this.resets.send(streamId, code)
  }

  #onSetting(id: number, value: number): void {
    if (id === Setting.ENABLE_PUSH && value > 1) {
      throw new Http2Error(ErrorCode.PROTOCOL_ERROR, 'a switch is 0 or 1')
    } else if (id === Setting.INITIAL_WINDOW_SIZE) {
      if (value > WINDOW_BYTES_MAX) {
        throw new Http2Error(ErrorCode.FLOW_CONTROL_ERROR, 'a window of more than it can be')
      }
      const more = value - this.#streamSendWindow
      this.#streamSendWindow = value
      for (const [, stream] of this.#streams) {
        if (!stream.addSendWindow(more)) {
          throw new Http2Error(ErrorCode.FLOW_CONTROL_ERROR, 'a window of more than it can be')
        }
        if (more > 0) this.outbox.waits(stream)
      }
      this.#isDrainDue = true
    } else if (id === Setting.MAX_FRAME_SIZE) {
      if (value < FRAME_BYTES_MAX || value > FRAME_BYTES_LIMIT) {
        throw new Http2Error(ErrorCode.PROTOCOL_ERROR, 'a frame size that cannot be')
      }
      this.outbox.frameBytesMax = value
    }
  }

  /** Of so few the one is found at once; a Map would keep what has left (roster.ts). */
  #streamOf(id: number): Http2Stream | undefined {
    const streams = this.#streams
    for (let seat = 0; seat < streams.seats; seat += 1) {
      const stream = streams.at(seat)
      if (stream?.id === id) return stream
    }
    return undefined
  }

  /** Nobody has opened it yet (RFC 9113, 5.1). */
  #isIdle(streamId: number): boolean {
    if (streamId % 2 === 0) return true
    return streamId > this.#lastStreamId && streamId <= this.#lastStreamIdMax
  }

  /** Its client may have sent it before it knew that the stream is reset, or that no more are begun (5.1, 6.8). */
  #isOnItsWay(streamId: number): boolean {
    return streamId > this.#lastStreamIdMax || this.resets.has(streamId)
  }

  #fail(code: number, problem: string): void {
    if (this.#phase === 'closing') return
    this.#needs.onMalformed(this.#peer.remoteAddress, problem)
    this.outbox.control(encodeGoAway(this.#lastStreamId, code, problem))
    this.#end()
    for (const [, stream] of this.#streams) stream.onGone()
  }

  #closeIfOver(): void {
    if (this.#phase === 'last streams' && this.#streams.size === 0) this.#end()
  }

  #end(): void {
    this.#phase = 'closing'
    this.#reader.close()
    this.#deadlineAt = Date.now() + this.#needs.limits.idleMs
    this.outbox.end(() => {
      this.#deadlineAt = Date.now() + this.#needs.limits.lingerMs
    })
  }

  /** A client that closes its end is gone, with all that ran for it. */
  #onEnd(): void {
    if (this.#phase !== 'closing') this.#end()
    for (const [, stream] of this.#streams) stream.onGone()
  }

  #onClose(): void {
    this.#phase = 'closing'
    this.#reader.close()
    for (const [, stream] of this.#streams) stream.onGone()
    this.#needs.onClosed(this)
  }
}

/** `close` follows and says all there is to say. */
function ignore(): void {}
