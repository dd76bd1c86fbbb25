import { STATUS_CODES } from 'node:http'
import type { ResponseHead } from '@postern/kube-http'
import type { AnswerFraming } from './answer-framing.ts'

/*
 * How an answer over HTTP/1.1 is framed, and the bytes of its head (RFC 9112, 4 and 6.3):
 *
 * - Whether it has a body, and of what length, is HTTP's of any version (answer-framing.ts). The length of
 *   a body that is not there stays, but for a 204 (RFC 9110, 8.6).
 * - Where the length is known it is said; everything else is chunked.
 * - Who sends the last answer of a connection says so (RFC 9112, 9.6).
 * - An answer has a date (RFC 9110, 6.6.1): the cluster's, or ours.
 */

const CRLF = Buffer.from('\r\n')
const LAST_CHUNK = Buffer.from('0\r\n\r\n')

/** One character a byte. The lines were checked where they came from. */
export function writeAnswerHead(
  { status, headers }: ResponseHead,
  { kind }: AnswerFraming,
  facts: { readonly closes: boolean; readonly date: string },
): string {
  let text = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'Unknown'}\r\n`
  let isDated = false
  for (const [name, value] of headers) {
    if (isNamed(name, 'content-length') && (kind === 'chunked' || status === 204)) continue
    isDated ||= isNamed(name, 'date')
    text += `${name}: ${value}\r\n`
  }
  if (!isDated) text += `Date: ${facts.date}\r\n`
  if (kind === 'chunked') text += 'Transfer-Encoding: chunked\r\n'
  if (facts.closes) text += 'Connection: close\r\n'
  return `${text}\r\n`
}

/** The head of the answer with which a connection becomes something else (RFC 9110, 7.8). */
export function writeSwitchingHead(headers: ResponseHead['headers']): string {
  const lines = headers.map(([name, value]) => `${name}: ${value}\r\n`).join('')
  return `HTTP/1.1 101 Switching Protocols\r\n${lines}\r\n`
}

/** What the client waits for before it sends the body (RFC 9110, 10.1.1). */
export const CONTINUE = 'HTTP/1.1 100 Continue\r\n\r\n'

/** What goes out for some bytes of a body, in that framing. */
export function framed({ kind }: AnswerFraming, chunk: Buffer): readonly (Buffer | string)[] {
  switch (kind) {
    case 'none':
      return []
    case 'length':
      return [chunk]
    case 'chunked':
      return [`${chunk.length.toString(16)}\r\n`, chunk, CRLF]
  }
}

export function bodyEnd({ kind }: AnswerFraming): readonly Buffer[] {
  return kind === 'chunked' ? [LAST_CHUNK] : []
}

function isNamed(name: string, wanted: string): boolean {
  return name.length === wanted.length && name.toLowerCase() === wanted
}
