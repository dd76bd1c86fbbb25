import type { TLSSocket } from 'node:tls'
import { messageOf } from '@postern/errors'
import {
  createResponseReader,
  lastChunk,
  type OutgoingRequest,
  type ResponseHead,
  type ResponseReader,
  type ResponseReceiver,
  writeChunk,
} from '@postern/kube-http'
import { UpstreamError } from './upstream-error.ts'

/** For whom a connection works, a request at a time. Exactly one of `onEnd` and `onLost` is the last. */
export type ConnectionUser = {
  readonly request: OutgoingRequest
  /** The bytes of the request's head, one character each. */
  readonly head: string
  onHead(head: ResponseHead): void
  /** The chunk is good for the call only. */
  onBody(chunk: Buffer): void
  onDrain(): void
  onEnd(): void
  /** `unseen`: the connection had served before, and nothing came back on it. */
  onLost(error: UpstreamError, unseen: boolean): void
}

const KEEP_ALIVE_MS = 30_000

/**
 * One TLS connection to kube-apiserver, with one request at a time on it. The caller decides who asks
 * by a header of each request: the connection itself stands for nobody.
 */
export class UpstreamConnection implements ResponseReceiver {
  readonly #socket: TLSSocket
  readonly #onIdle: (connection: UpstreamConnection) => void
  #user: ConnectionUser | undefined
  #reader: ResponseReader | undefined
  #sentBytes = 0
  #bodyEnded = false
  #heard = false
  #served = 0
  #paused = false

  constructor(socket: TLSSocket, onIdle: (connection: UpstreamConnection) => void) {
    this.#socket = socket
    this.#onIdle = onIdle
    socket.setKeepAlive(true, KEEP_ALIVE_MS)
    socket.on('drain', () => this.#user?.onDrain())
    socket.on('end', () => this.#onEnded())
    socket.on('error', (error) => this.#fail(`the connection failed: ${error.message}`))
    socket.on('close', () => this.#fail('the connection was closed'))
  }

  get usable(): boolean {
    return this.#user === undefined && this.#socket.writable && !this.#socket.readableEnded
  }

  begin(user: ConnectionUser): void {
    const { framing, method } = user.request
    this.#user = user
    this.#reader = createResponseReader({ method }, this)
    this.#heard = false
    this.#sentBytes = 0
    this.#bodyEnded = framing.kind === 'none' || (framing.kind === 'length' && framing.bytes === 0)
    if (!this.#bodyEnded) this.#withWhatFollows()
    this.#socket.write(user.head, 'latin1')
  }

  /** False: wait for `onDrain`. The chunk is copied: it is the caller's again. */
  write(chunk: Buffer): boolean {
    const framing = this.#user?.request.framing
    if (framing === undefined || chunk.length === 0) return true
    this.#sentBytes += chunk.length
    switch (framing.kind) {
      case 'length':
        if (this.#sentBytes > framing.bytes) return this.#refuseBody('longer')
        this.#bodyEnded = this.#sentBytes === framing.bytes
        return this.#socket.write(Buffer.from(chunk))
      case 'chunked': {
        this.#withWhatFollows()
        const results = writeChunk(Buffer.from(chunk)).map((part) => this.#socket.write(part))
        return results.at(-1) ?? true
      }
      case 'none':
      case 'upgrade':
        return this.#refuseBody('longer')
    }
  }

  /** The request's body is complete. */
  end(): void {
    const framing = this.#user?.request.framing
    if (framing === undefined || this.#bodyEnded) return
    if (framing.kind === 'chunked') this.#socket.write(lastChunk())
    if (framing.kind === 'length') this.#refuseBody('shorter')
    this.#bodyEnded = true
  }

  pause(): void {
    this.#paused = true
    this.#socket.pause()
  }

  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    this.#socket.resume()
  }

  /** Ends the connection, and with it what kube-apiserver does for the request. */
  destroy(): void {
    this.#user = undefined
    this.#socket.destroy()
  }

  /** What was read. Parts of it are handed on, and nothing is kept. */
  read(chunk: Buffer): void {
    this.#heard = true
    // An answer that nobody asked for: whatever it is, it must not meet the next request.
    if (this.#user === undefined || this.#reader === undefined) {
      this.destroy()
      return
    }
    try {
      this.#reader.push(chunk)
    } catch (error) {
      this.#fail(`kube-apiserver broke HTTP: ${messageOf(error)}`)
    }
  }

  // What the reader finds.

  onHead(head: ResponseHead): void {
    this.#user?.onHead(head)
  }

  onBody(chunk: Buffer): void {
    this.#user?.onBody(chunk)
  }

  onEnd(reusable: boolean): void {
    const user = this.#user
    if (user === undefined) return
    this.#user = undefined
    this.#served += 1
    // Answered before it had read the whole request: what follows would be taken for the next one.
    if (reusable && this.#bodyEnded && this.#socket.writable) {
      this.resume()
      // Behind the current read, so that bytes after the response are seen first.
      setImmediate(() => this.#onIdle(this))
    } else {
      this.#socket.destroy()
    }
    user.onEnd()
  }

  /** One write, and so one TLS record, of the head and what is written in the same turn. */
  #withWhatFollows(): void {
    if (this.#socket.writableCorked > 0) return
    this.#socket.cork()
    process.nextTick(() => this.#socket.uncork())
  }

  #onEnded(): void {
    if (this.#user === undefined) return
    try {
      this.#reader?.close()
    } catch (error) {
      this.#fail(messageOf(error))
    }
  }

  #refuseBody(how: 'longer' | 'shorter'): boolean {
    this.#fail(`the request's body is ${how} than announced`)
    return true
  }

  #fail(reason: string): void {
    const user = this.#user
    this.destroy()
    user?.onLost(new UpstreamError('lost', reason), this.#served > 0 && !this.#heard)
  }
}
