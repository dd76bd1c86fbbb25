import { ChunkedBody } from './chunked-body.ts'
import {
  type FieldLines,
  type HeadRefusal,
  type IncomingHead,
  parseRequestHead,
  REQUEST_HEAD_BYTES_MAX,
  requestHeadEnd,
} from './request-head.ts'

/** What unfinished heads may hold together, beyond the first bytes of each. */
export type HeadBudget = { bytesLeft: number }

type State =
  /** Not a byte of the next request has come. */
  | 'idle'
  | 'head'
  /** The head is there; bytes of the body may be pushed. */
  | 'body'
  | 'done'
  /** For good: refused, closed, or nothing of HTTP follows. */
  | 'over'

const EMPTY = Buffer.alloc(0)
/** A head that is cut in two rarely needs more. */
const FIRST_BYTES = 4 * 1024
/** A longer head is not remembered for the next one: a connection that waits holds little. */
const REMEMBERED_BYTES_MAX = 4 * 1024

/**
 * Reads the requests of a connection one after the other, however the bytes are cut: RFC 9112 as
 * request-head.ts and chunked-body.ts have it. It stops behind each head and behind each request, so
 * that whoever pushes decides when to go on.
 */
export class RequestReader {
  readonly #onBody: (part: Buffer) => void
  readonly #budget: HeadBudget
  #state: State = 'idle'
  #head: IncomingHead | undefined
  /** Of the last head. */
  #lines: FieldLines | undefined
  #refusal: HeadRefusal | undefined
  #kept = EMPTY
  #keptBytes = 0
  #bodyLeft = 0
  #chunked: ChunkedBody | undefined

  /** `onBody` gets parts of what is pushed, not copies. */
  constructor(onBody: (part: Buffer) => void, budget: HeadBudget) {
    this.#onBody = onBody
    this.#budget = budget
  }

  get state(): State {
    return this.#state
  }

  /** Of the request that is being read. */
  get head(): IncomingHead | undefined {
    return this.#head
  }

  get refusal(): HeadRefusal | undefined {
    return this.#refusal
  }

  /** Takes bytes up to the end of a head or of a request, and answers those behind it. */
  push(bytes: Buffer): Buffer {
    if (bytes.length === 0) return EMPTY
    switch (this.#state) {
      case 'idle':
      case 'head':
        return this.#readHead(bytes)
      case 'body':
        return this.#readBody(bytes)
      case 'done':
        return bytes
      case 'over':
        return EMPTY
    }
  }

  /** The request is dealt with: what is pushed now is the next. */
  next(): void {
    if (this.#state !== 'done') throw new Error('the request is not read to its end')
    const last = this.#head?.lines.closes === true || this.#head?.upgrade !== undefined
    this.#state = last ? 'over' : 'idle'
    this.#head = undefined
    this.#chunked = undefined
  }

  /** Nothing more is read; what was kept is given back. */
  close(): void {
    this.#giveBack()
    if (this.#state !== 'done') this.#state = 'over'
  }

  #readHead(bytes: Buffer): Buffer {
    if (this.#keptBytes === 0) {
      const end = requestHeadEnd(bytes)
      if (end !== -1) return this.#take(bytes.subarray(0, end), bytes.subarray(end))
    }
    // The end may have been cut: its first bytes are in what was kept.
    const from = Math.max(0, this.#keptBytes - 3)
    const before = this.#keptBytes
    if (!this.#keep(bytes)) return EMPTY
    this.#state = 'head'
    const end = requestHeadEnd(this.#kept.subarray(0, this.#keptBytes), from)
    if (end === -1) {
      if (this.#keptBytes > REQUEST_HEAD_BYTES_MAX) this.#refuseTooLarge()
      return EMPTY
    }
    const head = this.#kept.subarray(0, end)
    this.#giveBack()
    return this.#take(head, bytes.subarray(end - before))
  }

  #take(bytes: Buffer, rest: Buffer): Buffer {
    if (bytes.length > REQUEST_HEAD_BYTES_MAX) {
      this.#refuseTooLarge()
      return EMPTY
    }
    const parsed = parseRequestHead(bytes, this.#lines)
    if ('problem' in parsed) {
      this.#refuse(parsed)
      return EMPTY
    }
    this.#head = parsed
    this.#lines = bytes.length <= REMEMBERED_BYTES_MAX ? parsed.lines : undefined
    const { bodyBytes } = parsed.lines
    if (bodyBytes === 'chunked') this.#chunked = new ChunkedBody()
    else this.#bodyLeft = bodyBytes
    this.#state = bodyBytes === 0 ? 'done' : 'body'
    return rest
  }

  #readBody(bytes: Buffer): Buffer {
    if (this.#chunked !== undefined) {
      const at = this.#chunked.push(bytes, this.#onBody)
      // Whoever got a part of it may have closed us.
      if (this.state !== 'body') return EMPTY
      if (this.#chunked.problem !== undefined) {
        this.#refuse({ status: 400, problem: this.#chunked.problem })
        return EMPTY
      }
      if (this.#chunked.done) this.#state = 'done'
      return bytes.subarray(at)
    }
    const part = bytes.length > this.#bodyLeft ? bytes.subarray(0, this.#bodyLeft) : bytes
    this.#bodyLeft -= part.length
    if (this.#bodyLeft === 0) this.#state = 'done'
    this.#onBody(part)
    return bytes.subarray(part.length)
  }

  /** Doubles what it has, so that a head that drips in is not copied for every drop. */
  #keep(bytes: Buffer): boolean {
    const needed = this.#keptBytes + bytes.length
    if (needed > this.#kept.length) {
      const size = Math.max(FIRST_BYTES, 2 * this.#kept.length, needed)
      const more = size - Math.max(FIRST_BYTES, this.#kept.length)
      if (more > this.#budget.bytesLeft) {
        this.#refuse({ status: 503, problem: 'too many large headers are being read; try again' })
        return false
      }
      this.#budget.bytesLeft -= more
      const larger = Buffer.allocUnsafe(size)
      this.#kept.copy(larger, 0, 0, this.#keptBytes)
      this.#kept = larger
    }
    bytes.copy(this.#kept, this.#keptBytes)
    this.#keptBytes = needed
    return true
  }

  #giveBack(): void {
    this.#budget.bytesLeft += Math.max(0, this.#kept.length - FIRST_BYTES)
    this.#kept = EMPTY
    this.#keptBytes = 0
  }

  #refuse(refusal: HeadRefusal): void {
    this.#giveBack()
    this.#state = 'over'
    this.#refusal = refusal
  }

  #refuseTooLarge(): void {
    this.#refuse({ status: 431, problem: 'the headers are too large' })
  }
}
