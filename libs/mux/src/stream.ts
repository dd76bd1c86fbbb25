import type { MuxStream, StreamReceiver } from './api.ts'
import { MuxProtocolError, MuxResetError, type ResetCode } from './errors.ts'
import { encodeReset, encodeWindow, HEAD_BYTES_MAX } from './frame.ts'
import { ReceiveQueue } from './receive-queue.ts'
import { SendQueue } from './send-queue.ts'

/** What a stream needs of its session. */
export type StreamHost = {
  readonly role: 'client' | 'server'
  /** The credit that a stream's reader should have: less when much waits unread. */
  readonly windowBytes: () => number
  sendControl(bytes: Uint8Array): void
  sendHead(streamId: number, head: Uint8Array): void
  /** Whether something may go now; otherwise it waits for its turn. */
  readonly isFree: () => boolean
  /** Sends what may go now, and answers how much that was; the rest waits for its turn. */
  sendBytes(id: number, bytes: Uint8Array): number
  /** How much the next frame may carry of what waits. */
  readonly frameBytes: () => number
  sendEnd(id: number): void
  sendQueued(id: number, queued: SendQueue, length: number): void
  /** The stream has something to send and may send it. */
  wantsToSend(stream: Stream): void
  readonly unreadChanged: (bytes: number) => void
  /** Over on the wire: both ways ended, or aborted. */
  forget(stream: Stream): void
}

/**
 * A writer that ignores `false` from write may have this much waiting before its stream fails; one
 * larger chunk on an empty queue is fine.
 */
const UNSENT_BYTES_MAX = 1024 * 1024
/** With more than this waiting, a writer is asked to wait. */
const WAITING_BYTES = 64 * 1024

export class Stream implements MuxStream {
  readonly id: number
  waits = false
  readonly #host: StreamHost
  readonly #received: ReceiveQueue
  readonly #unsent: SendQueue
  #receiver: StreamReceiver | undefined
  #paused = false
  #delivering = false
  #discarding = false
  #head: Buffer | undefined
  /** Whether a head is still to come, and to go. */
  #headExpected: boolean
  #headSent: boolean
  #endReceived = false
  #endDelivered = false
  /** Only from the peer: what was left to send went nowhere. */
  #stopped = false
  #forgotten = false
  #drainOwed = false
  #closure: { error: Error | undefined } | undefined
  #closeDelivered = false

  constructor(id: number, host: StreamHost) {
    this.id = id
    this.#host = host
    this.#received = new ReceiveQueue(host.unreadChanged)
    this.#unsent = new SendQueue()
    this.#headExpected = host.role === 'client'
    this.#headSent = host.role === 'client'
  }

  get closed(): boolean {
    return this.#closure !== undefined
  }

  get unreadBytes(): number {
    return this.#received.cost
  }

  receive(receiver: StreamReceiver): void {
    if (this.#receiver !== undefined) throw new Error('the stream already has a receiver')
    this.#receiver = receiver
    this.#deliver()
  }

  pause(): void {
    this.#paused = true
  }

  resume(): void {
    this.#paused = false
    this.#deliver()
  }

  sendHead(head: Uint8Array): void {
    if (this.#headSent) throw new Error('only the accepting side sends a head, and only once')
    if (head.length > HEAD_BYTES_MAX) throw new RangeError('a head has at most 1 MiB')
    this.#headSent = true
    if (this.#forgotten) return
    this.#host.sendHead(this.id, head)
  }

  write(chunk: Uint8Array): boolean {
    if (!this.#headSent) throw new Error('the head goes before the bytes')
    if (this.closed || this.#stopped) return true
    if (this.#unsent.ended) throw new Error('write after end')
    if (this.#unsent.bytes > UNSENT_BYTES_MAX) {
      this.reset('failed', 'the writer went on without waiting for the reader')
      return true
    }
    // An empty chunk leaves nothing that could drain.
    if (chunk.length === 0) return !this.#drainOwed
    const sent = this.#sendAtOnce(chunk)
    if (sent === chunk.length) return !this.#drainOwed
    this.#unsent.push(sent === 0 ? chunk : chunk.subarray(sent))
    if (this.#unsent.sendable) this.#host.wantsToSend(this)
    if (this.#unsent.bytes > WAITING_BYTES || !this.#unsent.sendable) this.#drainOwed = true
    return !this.#drainOwed
  }

  end(): void {
    if (!this.#headSent) throw new Error('the head goes before the end')
    if (this.#unsent.ended) return
    this.#unsent.end()
    if (this.closed || this.#stopped || !this.#unsent.sendable) return
    if (this.#unsent.endSendable && this.#host.isFree()) this.sendFrame()
    else this.#host.wantsToSend(this)
  }

  discard(): void {
    this.#discarding = true
    this.#received.clear()
    if (this.#unsent.endSent) this.#stopPeer()
    this.#deliver()
  }

  reset(code: ResetCode, text = ''): void {
    if (this.closed) return
    if (!this.#forgotten) this.#host.sendControl(encodeReset(this.id, code, text))
    this.fail(new MuxResetError(code, 'us', text))
  }

  /** Aborted, from whichever side: nothing that waits is sent or delivered any more. */
  fail(error: Error): void {
    if (this.closed) return
    this.#received.clear()
    this.#unsent.clear()
    this.#forget()
    this.#closure = { error }
    this.#deliverClose()
  }

  // What the session calls as frames arrive.

  onHead(head: Buffer): void {
    if (!this.#headExpected) throw new MuxProtocolError('a second head on a stream')
    this.#headExpected = false
    if (this.#discarding) return
    const isTaken = this.#receiver !== undefined && !this.#delivering
    this.#head = isTaken ? head : Buffer.from(head)
    this.#deliver()
  }

  onData(bytes: Buffer): void {
    if (this.#headExpected) throw new MuxProtocolError('bytes before the head')
    if (this.#endReceived) throw new MuxProtocolError('bytes after the end')
    this.#received.take(bytes.length)
    // Their credit is not given back: the sender stops by itself until it hears of it.
    if (this.#discarding) return
    const receiver = this.#receiver
    if (receiver !== undefined && !this.#paused && !this.#delivering && this.#received.empty) {
      this.#delivering = true
      receiver.onData(bytes)
      this.#delivering = false
      this.#returnCredit()
      this.#deliver()
    } else {
      this.#received.push(bytes)
    }
  }

  onEnd(): void {
    if (this.#endReceived) throw new MuxProtocolError('a second end')
    this.#endReceived = true
    this.#overOnTheWire()
    this.#deliver()
  }

  onReset(code: ResetCode, text: string): void {
    if (code === 'stop' && this.#endReceived) {
      this.#stopped = true
      this.#unsent.clear()
      this.#overOnTheWire()
      this.#drained()
      this.#deliver()
      return
    }
    this.fail(new MuxResetError(code, 'peer', text))
  }

  onWindow(bytes: number): void {
    if (!this.#unsent.addCredit(bytes)) throw new MuxProtocolError('more credit than a window')
    if (this.#unsent.sendable) this.#host.wantsToSend(this)
  }

  /** Its turn: sends one frame. Answers whether there is more. */
  sendFrame(): boolean {
    const length = this.#unsent.takeFrame(this.#host.frameBytes())
    if (length > 0) this.#host.sendQueued(this.id, this.#unsent, length)
    if (this.#unsent.bytes === 0) this.#drained()
    if (this.#unsent.endSendable) {
      this.#host.sendEnd(this.id)
      this.#unsent.endSent = true
      if (this.#discarding && !this.#endReceived) this.#stopPeer()
      this.#overOnTheWire()
      this.#deliver()
    }
    return this.#unsent.sendable
  }

  /** What need not wait is copied once less. Answers how much of it that was. */
  #sendAtOnce(chunk: Uint8Array): number {
    const { bytes, credit } = this.#unsent
    if (bytes > 0 || credit === 0) return 0
    const within = chunk.length > credit ? chunk.subarray(0, credit) : chunk
    const sent = this.#host.sendBytes(this.id, within)
    this.#unsent.takeCredit(sent)
    return sent
  }

  #stopPeer(): void {
    if (this.#endReceived || this.#forgotten) return
    this.#host.sendControl(encodeReset(this.id, 'stop', ''))
    this.#endReceived = true
    this.#overOnTheWire()
  }

  #deliver(): void {
    const receiver = this.#receiver
    if (receiver === undefined || this.#delivering) return
    this.#delivering = true
    if (this.#head !== undefined) {
      const head = this.#head
      this.#head = undefined
      receiver.onHead?.(head)
    }
    while (!this.#paused) {
      const chunk = this.#received.shift()
      if (chunk === undefined) break
      receiver.onData(chunk)
      this.#returnCredit()
    }
    const read = !this.#paused || this.#discarding
    if (this.#endReceived && !this.#endDelivered && read && !this.closed) {
      this.#endDelivered = true
      if (!this.#discarding) receiver.onEnd()
    }
    this.#delivering = false
    if (this.#endDelivered && this.#forgotten && this.#closure === undefined) {
      this.#closure = { error: undefined }
    }
    this.#deliverClose()
  }

  #deliverClose(): void {
    const receiver = this.#receiver
    if (this.#closure === undefined || receiver === undefined || this.#closeDelivered) return
    this.#closeDelivered = true
    receiver.onClose(this.#closure.error)
  }

  #drained(): void {
    if (!this.#drainOwed) return
    this.#drainOwed = false
    this.#receiver?.onDrain?.()
  }

  #returnCredit(): void {
    if (this.#endReceived || this.#forgotten) return
    const grant = this.#received.grant(this.#host.windowBytes())
    if (grant > 0) this.#host.sendControl(encodeWindow(this.id, grant))
  }

  #overOnTheWire(): void {
    if (this.#endReceived && (this.#unsent.endSent || this.#stopped)) this.#forget()
  }

  #forget(): void {
    if (this.#forgotten) return
    this.#forgotten = true
    this.#host.forget(this)
  }
}
