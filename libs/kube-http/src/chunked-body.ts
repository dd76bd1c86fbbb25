import { isFieldValue, isToken } from './header-lines.ts'

/*
 * A chunked body (RFC 9112, 7.1), read strictly and never passed on as it is: whoever sends the
 * bytes further frames them anew.
 *
 *   chunked-body = *( chunk-size [ chunk-ext ] CRLF chunk-data CRLF ) "0" [ chunk-ext ] CRLF
 *                  *( field-line CRLF ) CRLF
 *   chunk-ext    = *( ";" token [ "=" ( token / quoted-string ) ] )
 *
 * - Lines end in CRLF, never in a bare LF; there is no space anywhere before it.
 * - Extensions and trailers are checked and dropped (RFC 9112, 7.1.1; RFC 9110, 6.5.1). They are
 *   bounded: a few bytes of body must not cost a mebibyte of them. None frames or routes a message.
 */

const LINE_BYTES_MAX = 8 * 1024
/** Of all extensions and trailers together. */
const EXTRA_BYTES_MAX = 16 * 1024
const TOKEN = "[!#$%&'*+\\-.^_`|~0-9A-Za-z]+"
const QUOTED = '"[\\t\\x20\\x21\\x23-\\x5b\\x5d-\\x7e\\x80-\\xff]*"'
const CHUNK_SIZE = new RegExp(`^([0-9A-Fa-f]{1,12})((?:;${TOKEN}(?:=(?:${TOKEN}|${QUOTED}))?)*)$`)
const FORBIDDEN_TRAILERS = new Set(['content-length', 'transfer-encoding', 'host'])
const LF = 0x0a

/** Takes a chunked body apart, however its bytes are cut. */
export class ChunkedBody {
  #part: 'size' | 'data' | 'data-end' | 'trailer' | 'done' = 'size'
  /** Of a chunk, before it is over. */
  #left = 0
  #line = ''
  #extraBytes = 0
  /** What is wrong with it; then nothing more may be pushed. */
  problem: string | undefined

  get done(): boolean {
    return this.#part === 'done'
  }

  /** Calls back with parts of the chunk, not copies. Answers where it stopped: behind the body. */
  push(bytes: Buffer, onBody: (part: Buffer) => void): number {
    let at = 0
    while (at < bytes.length && this.#part !== 'done' && this.problem === undefined) {
      if (this.#part === 'data') {
        const end = Math.min(bytes.length, at + this.#left)
        this.#left -= end - at
        if (this.#left === 0) this.#part = 'data-end'
        onBody(bytes.subarray(at, end))
        at = end
      } else {
        at = this.#readLine(bytes, at)
      }
    }
    return at
  }

  #readLine(bytes: Buffer, from: number): number {
    const newline = bytes.indexOf(LF, from)
    const end = newline === -1 ? bytes.length : newline + 1
    if (this.#line.length + end - from > LINE_BYTES_MAX) {
      this.problem = 'a line of the chunked body is too long'
      return end
    }
    this.#line += bytes.toString('latin1', from, end)
    if (newline === -1) return end
    const line = this.#line
    this.#line = ''
    this.problem = line.endsWith('\r\n')
      ? this.#onLine(line.slice(0, -2))
      : 'a line of the chunked body ends without CR'
    return end
  }

  #onLine(line: string): string | undefined {
    switch (this.#part) {
      case 'size': {
        const [, size, extension = ''] = CHUNK_SIZE.exec(line) ?? []
        if (size === undefined) return 'a chunk size is malformed'
        this.#left = Number.parseInt(size, 16)
        this.#part = this.#left === 0 ? 'trailer' : 'data'
        return this.#dropped(extension.length)
      }
      case 'data-end':
        this.#part = 'size'
        return line === '' ? undefined : 'a chunk is longer than its size'
      case 'trailer': {
        if (line === '') {
          this.#part = 'done'
          return undefined
        }
        const colon = line.indexOf(':')
        const name = line.slice(0, Math.max(0, colon))
        if (!isToken(name) || !isFieldValue(line.slice(colon + 1))) return 'a trailer is malformed'
        if (FORBIDDEN_TRAILERS.has(name.toLowerCase())) return 'a trailer frames the message'
        return this.#dropped(line.length)
      }
      case 'data':
      case 'done':
        return undefined
    }
  }

  #dropped(bytes: number): string | undefined {
    this.#extraBytes += bytes
    return this.#extraBytes > EXTRA_BYTES_MAX
      ? 'the chunked body has too much beside it'
      : undefined
  }
}
