import type { ResponseHead, UpgradeProtocol } from './head.ts'
import {
  checkTrailer,
  HttpSyntaxError,
  parseResponseHead,
  type ReceivedHead,
  type ResponseFraming,
} from './response-head.ts'

export type ResponseReceiver = {
  /** Without the lines that were for the next hop. */
  onHead(head: ResponseHead): void
  /** Parts of what was pushed, not copies. */
  onBody(chunk: Buffer): void
  /** The response is complete. `reusable`: another request may go over the connection. */
  onEnd(reusable: boolean): void
  /** After 101: everything that follows on the connection. Only for an upgrade. */
  onSwitched?(bytes: Buffer): void
}

export type ResponseReader = {
  /**
   * Keeps nothing of the chunk.
   * @throws HttpSyntaxError; then nothing more may be pushed
   */
  push(chunk: Buffer): void
  /**
   * The connection ended.
   * @throws HttpSyntaxError if the response is not complete
   */
  close(): void
  readonly state: 'head' | 'body' | 'done' | 'switched'
}

const RESPONSE_HEAD_BYTES_MAX = 1024 * 1024
const LINE_BYTES_MAX = 1024
const TRAILER_BYTES_MAX = 16 * 1024
const INTERIM_HEADS_MAX = 8
const CHUNK_SIZE = /^([0-9A-Fa-f]{1,12})(?:[ \t]*;[\t\x20-\x7e\x80-\xff]*)?$/
const HEAD_END = Buffer.from('\r\n\r\n')
const LINE_END = Buffer.from('\r\n')
const EMPTY = Buffer.alloc(0)

/** Reads one response, however the bytes are cut. */
export function createResponseReader(
  request: {
    readonly method: string
    readonly upgrade?: UpgradeProtocol
    readonly headBytesMax?: number
  },
  receiver: ResponseReceiver,
): ResponseReader {
  return new Reader(request.method, request.upgrade, request.headBytesMax, receiver)
}

class Reader implements ResponseReader {
  readonly #method: string
  readonly #upgrade: UpgradeProtocol | undefined
  readonly #headBytesMax: number
  readonly #receiver: ResponseReceiver
  #state: 'head' | 'body' | 'done' | 'switched' = 'head'
  #part: 'size' | 'data' | 'data-end' | 'trailer' = 'data'
  #framing: ResponseFraming = { kind: 'none' }
  #kept: Buffer = EMPTY
  #left = 0
  #trailerBytes = 0
  #interimHeads = 0
  #closes = false

  constructor(
    method: string,
    upgrade: UpgradeProtocol | undefined,
    headBytesMax: number | undefined,
    receiver: ResponseReceiver,
  ) {
    this.#method = method
    this.#upgrade = upgrade
    this.#headBytesMax = headBytesMax ?? RESPONSE_HEAD_BYTES_MAX
    this.#receiver = receiver
  }

  get state(): 'head' | 'body' | 'done' | 'switched' {
    return this.#state
  }

  push(chunk: Buffer): void {
    let rest: Buffer | undefined = chunk
    while (rest !== undefined && rest.length > 0) {
      switch (this.#state) {
        case 'head':
          rest = this.#readHead(rest)
          break
        case 'body':
          rest = this.#readBody(rest)
          break
        case 'switched':
          this.#receiver.onSwitched?.(rest)
          return
        case 'done':
          throw new HttpSyntaxError('bytes follow the response')
      }
    }
  }

  close(): void {
    if (this.#state === 'done' || this.#state === 'switched') return
    if (this.#state === 'head') throw new HttpSyntaxError('the connection ended in a head')
    if (this.#framing.kind !== 'until-close') {
      throw new HttpSyntaxError('the connection ended in a body')
    }
    this.#finish(false)
  }

  #readHead(bytes: Buffer): Buffer | undefined {
    const all = this.#kept.length === 0 ? bytes : Buffer.concat([this.#kept, bytes])
    // The end may have been cut: its first bytes are in what was kept.
    const end = all.indexOf(HEAD_END, Math.max(0, this.#kept.length - 3))
    if (end === -1 ? all.length > this.#headBytesMax : end > this.#headBytesMax) {
      throw new HttpSyntaxError('the head is too large')
    }
    if (end === -1) {
      this.#keep(all)
      return undefined
    }
    this.#kept = EMPTY
    this.#onHead(parseResponseHead(all.toString('latin1', 0, end), this.#method))
    return all.subarray(end + 4)
  }

  /** A copy: what is pushed is good for the call only. */
  #keep(bytes: Buffer): void {
    this.#kept = this.#kept.length === 0 ? Buffer.from(bytes) : bytes
  }

  #onHead({ head, framing, closes, upgrade }: ReceivedHead): void {
    if (head.status === 101) {
      this.#switchTo(upgrade)
      this.#receiver.onHead(head)
      return
    }
    if (head.status < 200) {
      this.#interimHeads += 1
      if (this.#interimHeads > INTERIM_HEADS_MAX) throw new HttpSyntaxError('too many 1xx heads')
      return
    }
    this.#framing = framing
    this.#closes = closes
    this.#state = 'body'
    this.#part = framing.kind === 'chunked' ? 'size' : 'data'
    this.#left = framing.kind === 'length' ? framing.bytes : 0
    this.#receiver.onHead(head)
    const isEmpty = framing.kind === 'length' && framing.bytes === 0
    if (framing.kind === 'none' || isEmpty) this.#finish(!closes)
  }

  #switchTo(protocol: string | undefined): void {
    if (this.#upgrade === undefined) throw new HttpSyntaxError('101 was not asked for')
    if (protocol?.toLowerCase() !== this.#upgrade.toLowerCase()) {
      throw new HttpSyntaxError('101 is for another protocol')
    }
    this.#state = 'switched'
  }

  #readBody(bytes: Buffer): Buffer | undefined {
    if (this.#framing.kind === 'until-close') {
      this.#receiver.onBody(bytes)
      return undefined
    }
    if (this.#part === 'data') {
      const part = bytes.length > this.#left ? bytes.subarray(0, this.#left) : bytes
      this.#left -= part.length
      this.#receiver.onBody(part)
      if (this.#left === 0) {
        if (this.#framing.kind === 'length') this.#finish(!this.#closes)
        else this.#part = 'data-end'
      }
      return bytes.subarray(part.length)
    }
    return this.#readChunkLine(bytes)
  }

  /** A size, the end of a chunk, or a trailer: one line each. */
  #readChunkLine(bytes: Buffer): Buffer | undefined {
    const all = this.#kept.length === 0 ? bytes : Buffer.concat([this.#kept, bytes])
    const end = all.indexOf(LINE_END)
    const max = this.#part === 'trailer' ? TRAILER_BYTES_MAX : LINE_BYTES_MAX
    if (end === -1 ? all.length > max : end > max) throw new HttpSyntaxError('a line is too long')
    if (end === -1) {
      this.#keep(all)
      return undefined
    }
    this.#kept = EMPTY
    this.#onChunkLine(all.toString('latin1', 0, end))
    return all.subarray(end + 2)
  }

  #onChunkLine(line: string): void {
    switch (this.#part) {
      case 'size': {
        const size = CHUNK_SIZE.exec(line)?.[1]
        if (size === undefined) throw new HttpSyntaxError('malformed chunk size')
        this.#left = Number.parseInt(size, 16)
        this.#part = this.#left === 0 ? 'trailer' : 'data'
        return
      }
      case 'data-end':
        if (line !== '') throw new HttpSyntaxError('a chunk is longer than its size')
        this.#part = 'size'
        return
      case 'trailer':
        if (line === '') {
          this.#finish(!this.#closes)
          return
        }
        checkTrailer(line)
        this.#trailerBytes += line.length
        if (this.#trailerBytes > TRAILER_BYTES_MAX) throw new HttpSyntaxError('too many trailers')
        return
      case 'data':
    }
  }

  #finish(reusable: boolean): void {
    this.#state = 'done'
    this.#receiver.onEnd(reusable)
  }
}
