import type { RequestHead, ResponseHead, UpgradeProtocol } from './head.ts'
import { type HeaderLines, isFieldValue, isToken } from './header-lines.ts'

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
const REFERENCE = /^[\x21-\x7e]{0,200}$/
const METHOD = /^[A-Z]{1,20}$/
const TARGET = /^\/[\x21-\x7e]*$/

/*
 * Byte 0 version, byte 1 kind. Request: byte 2 upgrade, then sessionId, auditId, traceparent,
 * method, target, headers. Response: uint16 status, then headers. A text is its length as
 * LEB128 and one byte a character; headers are their count and name and value of each.
 */

/** @throws HeadError */
export function encodeRequestHead(head: RequestHead): Buffer {
  checkRequest(head)
  const texts = [head.sessionId, head.auditId, head.traceparent, head.method, head.target]
  const upgrade = UPGRADES.indexOf(head.upgrade)
  return encode(Buffer.of(VERSION, KIND_REQUEST, upgrade), texts, head.headers)
}

/** @throws HeadError */
export function encodeResponseHead(head: ResponseHead): Buffer {
  checkResponse(head)
  const start = Buffer.of(VERSION, KIND_RESPONSE, head.status >>> 8, head.status & 0xff)
  return encode(start, [], head.headers)
}

/** @throws HeadError */
export function decodeRequestHead(bytes: Uint8Array): RequestHead {
  const reader = openReader(bytes, KIND_REQUEST)
  const upgradeCode = reader.byte()
  if (upgradeCode >= UPGRADES.length) throw new HeadError('unknown upgrade')
  const upgrade = UPGRADES[upgradeCode]
  const head: RequestHead = {
    sessionId: reader.text(),
    auditId: reader.text(),
    traceparent: reader.text(),
    method: reader.text(),
    target: reader.text(),
    headers: reader.headers(),
    ...(upgrade === undefined ? {} : { upgrade }),
  }
  reader.finish()
  checkRequest(head)
  return head
}

/** @throws HeadError */
export function decodeResponseHead(bytes: Uint8Array): ResponseHead {
  const reader = openReader(bytes, KIND_RESPONSE)
  const status = reader.byte() * 256 + reader.byte()
  const head: ResponseHead = { status, headers: reader.headers() }
  reader.finish()
  checkResponse(head)
  return head
}

function checkRequest(head: RequestHead): void {
  const references = [head.sessionId, head.auditId, head.traceparent]
  if (!references.every((text) => REFERENCE.test(text))) throw new HeadError('malformed reference')
  if (!METHOD.test(head.method)) throw new HeadError('malformed method')
  if (!TARGET.test(head.target)) throw new HeadError('malformed target')
  checkHeaders(head.headers)
}

function checkResponse({ status, headers }: ResponseHead): void {
  if (!Number.isInteger(status) || status < 100 || status > 599) throw new HeadError('bad status')
  checkHeaders(headers)
}

function checkHeaders(headers: HeaderLines): void {
  if (headers.length > HEADERS_MAX) throw new HeadError('too many headers')
  for (const [name, value] of headers) {
    if (!isToken(name)) throw new HeadError('malformed header name')
    if (!isFieldValue(value)) throw new HeadError('malformed header value')
  }
}

function encode(start: Buffer, texts: readonly string[], headers: HeaderLines): Buffer {
  let size = start.length + varintBytes(headers.length)
  for (const text of texts) size += varintBytes(text.length) + text.length
  for (const [name, value] of headers) {
    size += varintBytes(name.length) + name.length + varintBytes(value.length) + value.length
  }
  if (size > HEAD_BYTES_MAX) throw new HeadError('the head has more than 1 MiB')
  const bytes = Buffer.allocUnsafe(size)
  let at = start.copy(bytes)
  for (const text of texts) at = writeText(bytes, at, text)
  at = writeVarint(bytes, at, headers.length)
  for (const [name, value] of headers) {
    at = writeText(bytes, at, name)
    at = writeText(bytes, at, value)
  }
  return bytes
}

function writeText(bytes: Buffer, at: number, text: string): number {
  const start = writeVarint(bytes, at, text.length)
  return start + bytes.write(text, start, 'latin1')
}

function writeVarint(bytes: Buffer, at: number, value: number): number {
  let rest = value
  let next = at
  while (rest >= 0x80) {
    bytes[next] = (rest & 0x7f) | 0x80
    next += 1
    rest >>>= 7
  }
  bytes[next] = rest
  return next + 1
}

const varintBytes = (value: number): number => (value < 0x80 ? 1 : value < 0x4000 ? 2 : 3)

function openReader(bytes: Uint8Array, kind: number): HeadReader {
  if (bytes.length > HEAD_BYTES_MAX) throw new HeadError('the head has more than 1 MiB')
  const reader = new HeadReader(bytes)
  if (reader.byte() !== VERSION) throw new HeadError('unknown version of the head')
  if (reader.byte() !== kind) throw new HeadError('another kind of head was expected')
  return reader
}

class HeadReader {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  byte(): number {
    const byte = this.#bytes[this.#at]
    if (byte === undefined) throw new HeadError('the head is cut short')
    this.#at += 1
    return byte
  }

  text(): string {
    const length = this.#varint()
    const end = this.#at + length
    if (end > this.#bytes.length) throw new HeadError('the head is cut short')
    const text = this.#bytes.toString('latin1', this.#at, end)
    this.#at = end
    return text
  }

  headers(): HeaderLines {
    const count = this.#varint()
    if (count > HEADERS_MAX) throw new HeadError('too many headers')
    const lines: [string, string][] = []
    for (let index = 0; index < count; index += 1) lines.push([this.text(), this.text()])
    return lines
  }

  finish(): void {
    if (this.#at !== this.#bytes.length) throw new HeadError('something follows the head')
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
