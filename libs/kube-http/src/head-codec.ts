import type { RequestHead, ResponseHead, UpgradeProtocol } from './head.ts'
import { type HeaderLines, isFieldValue } from './header-lines.ts'
import { headerName } from './header-names.ts'

/** A head that is malformed, or too large to be sent. */
export class HeadError extends Error {
  override readonly name = 'HeadError'
}

export const HEAD_BYTES_MAX = 1024 * 1024
const HEADERS_MAX = 2000
const VERSION = 1
const KIND_REQUEST = 1
const KIND_RESPONSE = 2
const UPGRADES: readonly (UpgradeProtocol | undefined)[] = [undefined, 'websocket', 'SPDY/3.1']
const VISIBLE = /^[\x21-\x7e]*$/
const REFERENCE_CHARACTERS_MAX = 200
const METHOD = /^[A-Z]{1,20}$/
const TARGET = /^\/[\x21-\x7e]*$/

/*
 * Byte 0 version, byte 1 kind. Request: byte 2 upgrade, then sessionId, auditId, traceparent,
 * method, target, headers. Response: uint16 status, then headers. A text is its length as
 * LEB128 and one byte a character; headers are their count and name and value of each.
 */

/** Header lines as they stand in a head: what many heads share is checked and encoded once. */
export class EncodedLines {
  /** One character a byte. */
  readonly text: string

  /** @throws HeadError */
  constructor(lines: HeaderLines) {
    checkHeaders(lines)
    // In one piece: what is put together of many keeps them all, and is put together at every use.
    this.text = Buffer.from(linesText(lines), 'latin1').toString('latin1')
  }
}

/** @throws HeadError */
export function encodeRequestHead(
  head: Omit<RequestHead, 'headers'>,
  { text }: EncodedLines,
): Buffer {
  checkRequestLine(head)
  let all = String.fromCharCode(VERSION, KIND_REQUEST, UPGRADES.indexOf(head.upgrade))
  for (const part of [head.sessionId, head.auditId, head.traceparent, head.method, head.target]) {
    all += varint(part.length) + part
  }
  return encoded(all + text)
}

/** Of a head that was checked where it came from. @throws HeadError if it has too much */
export function encodeResponseHead({ status, headers }: ResponseHead): Buffer {
  if (headers.length > HEADERS_MAX) throw new HeadError('too many headers')
  const start = String.fromCharCode(VERSION, KIND_RESPONSE, status >>> 8, status & 0xff)
  return encoded(start + linesText(headers))
}

/**
 * Its header lines are still encoded: `readLines` takes them apart, or knows them from before. What they
 * hold is looked at by whoever writes them (`prepareLines`).
 *
 * @throws HeadError
 */
export function decodeRequestHead<Lines>(
  bytes: Uint8Array,
  readLines: (encoded: string) => Lines,
): Omit<RequestHead, 'headers'> & { readonly headers: Lines } {
  const reader = openReader(bytes, KIND_REQUEST)
  const upgradeCode = reader.byte()
  if (upgradeCode >= UPGRADES.length) throw new HeadError('unknown upgrade')
  const upgrade = UPGRADES[upgradeCode]
  const line = {
    sessionId: reader.text(),
    auditId: reader.text(),
    traceparent: reader.text(),
    method: reader.text(),
    target: reader.text(),
  }
  checkRequestLine(line)
  const headers = readLines(reader.rest())
  return { ...line, headers, ...(upgrade === undefined ? {} : { upgrade }) }
}

/** The lines of a request's head. @throws HeadError */
export function decodeLines(encoded: string): HeaderLines {
  const reader = new HeadReader(encoded)
  const lines = reader.headers()
  reader.finish()
  return lines
}

/** @throws HeadError */
export function decodeResponseHead(bytes: Uint8Array): ResponseHead {
  const reader = openReader(bytes, KIND_RESPONSE)
  const status = reader.byte() * 256 + reader.byte()
  if (status < 100 || status > 599) throw new HeadError('bad status')
  const headers = reader.headers()
  reader.finish()
  return { status, headers }
}

function checkRequestLine(head: Omit<RequestHead, 'headers'>): void {
  checkReference(head.sessionId)
  checkReference(head.auditId)
  checkReference(head.traceparent)
  if (!METHOD.test(head.method)) throw new HeadError('malformed method')
  if (!TARGET.test(head.target)) throw new HeadError('malformed target')
}

function checkReference(text: string): void {
  if (text.length > REFERENCE_CHARACTERS_MAX || !VISIBLE.test(text)) {
    throw new HeadError('malformed reference')
  }
}

function checkHeaders(headers: HeaderLines): void {
  if (headers.length > HEADERS_MAX) throw new HeadError('too many headers')
  for (const [name, value] of headers) {
    checkedName(name)
    checkValue(value)
  }
}

function checkedName(text: string): string {
  const { name, isToken } = headerName(text)
  if (!isToken) throw new HeadError('malformed header name')
  return name
}

function checkValue(text: string): void {
  if (!isFieldValue(text)) throw new HeadError('malformed header value')
}

function linesText(lines: HeaderLines): string {
  let text = varint(lines.length)
  for (const [name, value] of lines) {
    text += varint(name.length) + name + varint(value.length) + value
  }
  return text
}

/** One character a byte, until here: joining texts costs less than writing each into a buffer. */
function encoded(text: string): Buffer {
  if (text.length > HEAD_BYTES_MAX) throw new HeadError('the head has more than 1 MiB')
  return Buffer.from(text, 'latin1')
}

/** LEB128. */
function varint(value: number): string {
  if (value < 0x80) return String.fromCharCode(value)
  return String.fromCharCode((value & 0x7f) | 0x80) + varint(value >>> 7)
}

function openReader(bytes: Uint8Array, kind: number): HeadReader {
  if (bytes.length > HEAD_BYTES_MAX) throw new HeadError('the head has more than 1 MiB')
  const { buffer, byteOffset, byteLength } = bytes
  const reader = new HeadReader(Buffer.from(buffer, byteOffset, byteLength).toString('latin1'))
  if (reader.byte() !== VERSION) throw new HeadError('unknown version of the head')
  if (reader.byte() !== kind) throw new HeadError('another kind of head was expected')
  return reader
}

class HeadReader {
  /** One character a byte: parts of one text cost nothing. */
  readonly #all: string
  #at = 0

  constructor(all: string) {
    this.#all = all
  }

  byte(): number {
    if (this.#at >= this.#all.length) throw new HeadError('the head is cut short')
    const byte = this.#all.charCodeAt(this.#at)
    this.#at += 1
    return byte
  }

  text(): string {
    const end = this.#varint() + this.#at
    if (end > this.#all.length) throw new HeadError('the head is cut short')
    const text = this.#all.slice(this.#at, end)
    this.#at = end
    return text
  }

  headers(): HeaderLines {
    const count = this.#varint()
    if (count > HEADERS_MAX) throw new HeadError('too many headers')
    const lines: [string, string][] = []
    for (let index = 0; index < count; index += 1) {
      const name = checkedName(this.text())
      const value = this.text()
      checkValue(value)
      lines.push([name, value])
    }
    return lines
  }

  /** Whatever is left. */
  rest(): string {
    return this.#all.slice(this.#at)
  }

  finish(): void {
    if (this.#at !== this.#all.length) throw new HeadError('something follows the head')
  }

  /** At most three bytes, in the shortest form: one head has one encoding. */
  #varint(): number {
    let value = 0
    for (let index = 0; index < 3; index += 1) {
      const byte = this.byte()
      value |= (byte & 0x7f) << (7 * index)
      if (byte >= 0x80) continue
      if (byte === 0 && index > 0) throw new HeadError('a length is not in its shortest form')
      return value
    }
    throw new HeadError('a length is too large')
  }
}
