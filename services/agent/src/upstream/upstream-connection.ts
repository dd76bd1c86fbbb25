import type { TLSSocket } from 'node:tls'
import { messageOf } from '@postern/errors'
import {
  createResponseReader,
  lastChunk,
  type OutgoingRequest,
  type RequestFraming,
  type ResponseHead,
  type ResponseReader,
  writeChunk,
} from '@postern/kube-http'
import { UpstreamError } from './upstream-error.ts'

/** Called in order; exactly one of `onEnd` and `onError` is the last. */
export type ExchangeReceiver = {
  onHead(head: ResponseHead): void
  onBody(chunk: Buffer): void
  /** The request's body may go on. */
  onDrain(): void
  /** The response is complete. */
  onEnd(): void
  onError(error: UpstreamError): void
}

/** What a connection is doing for one request. */
type Work = {
  readonly receiver: ExchangeReceiver
  readonly reader: ResponseReader
  readonly framing: RequestFraming
  bodyBytes: number
  bodyEnded: boolean
}

const KEEP_ALIVE_MS = 30_000

/**
 * One TLS connection to kube-apiserver, with one request at a time on it. The caller decides who asks
 * by a header of each request: the connection itself stands for nobody.
 */
export class UpstreamConnection {
  readonly #socket: TLSSocket
  readonly #onIdle: (connection: UpstreamConnection) => void
  #work: Work | undefined
  #heard = false
  #requests = 0

  constructor(socket: TLSSocket, onIdle: (connection: UpstreamConnection) => void) {
    this.#socket = socket
    this.#onIdle = onIdle
    socket.setKeepAlive(true, KEEP_ALIVE_MS)
    socket.on('data', (chunk: Buffer) => this.#onData(chunk))
    socket.on('drain', () => this.#work?.receiver.onDrain())
    socket.on('end', () => this.#onEnd())
    socket.on('error', (error) => this.#fail(`the connection failed: ${error.message}`))
    socket.on('close', () => this.#fail('the connection was closed'))
  }

  get usable(): boolean {
    return this.#work === undefined && this.#socket.writable && !this.#socket.readableEnded
  }

  /** It has served before, and the other side may have closed it without our knowing yet. */
  get reused(): boolean {
    return this.#requests > 1
  }

  /** Whether anything of the answer has arrived. */
  get heard(): boolean {
    return this.#heard
  }

  /** `head` are the bytes of the request's head. */
  begin(head: Buffer, { method, framing }: OutgoingRequest, receiver: ExchangeReceiver): void {
    this.#heard = false
    this.#requests += 1
    const reader = createResponseReader(
      { method },
      {
        onHead: (received) => receiver.onHead(received),
        onBody: (chunk) => receiver.onBody(chunk),
        onEnd: (reusable) => this.#finish(reusable),
      },
    )
    const bodyEnded = framing.kind === 'none' || (framing.kind === 'length' && framing.bytes === 0)
    this.#work = { receiver, reader, framing, bodyBytes: 0, bodyEnded }
    this.#socket.write(head)
  }

  /** False: wait for `onDrain`. */
  write(chunk: Buffer): boolean {
    const work = this.#work
    if (work === undefined || chunk.length === 0) return true
    work.bodyBytes += chunk.length
    switch (work.framing.kind) {
      case 'length':
        if (work.bodyBytes > work.framing.bytes) return this.#refuseBody('longer')
        work.bodyEnded = work.bodyBytes === work.framing.bytes
        return this.#socket.write(chunk)
      case 'chunked': {
        this.#socket.cork()
        const results = writeChunk(chunk).map((part) => this.#socket.write(part))
        this.#socket.uncork()
        return results.at(-1) ?? true
      }
      case 'none':
      case 'upgrade':
        return this.#refuseBody('longer')
    }
  }

  /** The request's body is complete. */
  end(): void {
    const work = this.#work
    if (work === undefined) return
    if (work.framing.kind === 'chunked' && !work.bodyEnded) this.#socket.write(lastChunk())
    if (work.framing.kind === 'length' && !work.bodyEnded) this.#refuseBody('shorter')
    work.bodyEnded = true
  }

  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }

  /** Ends the connection, and with it what kube-apiserver does for the request. */
  destroy(): void {
    this.#work = undefined
    this.#socket.destroy()
  }

  #onData(chunk: Buffer): void {
    const work = this.#work
    this.#heard = true
    // An answer that nobody asked for: whatever it is, it must not meet the next request.
    if (work === undefined) {
      this.destroy()
      return
    }
    try {
      work.reader.push(chunk)
    } catch (error) {
      this.#fail(`kube-apiserver broke HTTP: ${messageOf(error)}`)
    }
  }

  #onEnd(): void {
    try {
      this.#work?.reader.close()
    } catch (error) {
      this.#fail(messageOf(error))
    }
  }

  #finish(reusable: boolean): void {
    const work = this.#work
    if (work === undefined) return
    this.#work = undefined
    // Answered before it had read the whole request: what follows would be taken for the next one.
    if (reusable && work.bodyEnded && this.#socket.writable) {
      this.#socket.resume()
      // Behind the current data event, so that bytes after the response are seen first.
      setImmediate(() => this.#onIdle(this))
    } else {
      this.#socket.destroy()
    }
    work.receiver.onEnd()
  }

  #refuseBody(how: 'longer' | 'shorter'): boolean {
    this.#fail(`the request's body is ${how} than announced`)
    return true
  }

  #fail(reason: string): void {
    const work = this.#work
    this.destroy()
    work?.receiver.onError(new UpstreamError('lost', reason))
  }
}
