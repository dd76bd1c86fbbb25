import {
  contentLengthOf,
  type HeaderLines,
  headerName,
  isFieldValue,
  REQUEST_METHODS,
} from '@postern/kube-http'
import type { FieldLine } from '../http2/field-decoder.ts'
import { clientLines } from './client-lines.ts'
import type { FrontHead } from './front-interface.ts'
import type { Peer } from './peer.ts'

/*
 * One request head of HTTP/2, read as strictly as RFC 9113, 8.2 and 8.3 allow, and never more kindly than
 * one of HTTP/1.1 (request-head.ts of libs/kube-http):
 *
 * - Names are tokens in lower case; values have no control characters, and no space around them (8.2.1).
 * - Nothing that is about a connection (8.2.2).
 * - :method, :scheme and :path are said once, :authority at most once, before all other lines, and
 *   nothing else begins with a colon (8.3).
 * - Only the methods of kube-apiserver; a target is a path of visible characters.
 * - :authority and Host agree; Host is said once at most.
 * - A content-length is digits, said once, and what DATA comes to (8.1.1).
 * - The only expectation is 100-continue (RFC 9110, 10.1.1).
 *
 * What breaks the rules of HTTP/2 is no request: its stream is reset. What is merely not served is answered.
 */

export type Http2Head =
  | {
      readonly head: FrontHead
      readonly bodyBytes: number | undefined
      readonly expectsContinue: boolean
    }
  | Flaw

/** `malformed` is a stream error (RFC 9113, 8.1.1). */
type Flaw =
  | { readonly malformed: string }
  | { readonly status: 400 | 405 | 417; readonly problem: string; readonly method?: string }

/** What was found of lines that were looked at. */
type Said = {
  readonly lines: HeaderLines
  readonly host: string | undefined
  readonly bodyBytes: number | undefined
  readonly expectsContinue: boolean
}

const SPACE_AROUND = /^[ \t]|[ \t]$/
/** RFC 3986, 3.1. */
const SCHEME = /^[a-z][a-z0-9+.-]*$/i
const TARGET = /^[\x21-\x7e]+$/
const OF_CONNECTIONS = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
])

/** Reads the heads of one connection. Most clients say the same lines with every request: those are looked at once. */
export class Http2HeadReader {
  readonly #peer: Peer
  #before: Said | undefined

  constructor(peer: Peer) {
    this.#peer = peer
  }

  /** `isWhole`: nothing follows it. */
  read(fields: readonly FieldLine[], isWhole: boolean): Http2Head {
    const pseudo = readPseudo(fields)
    if ('malformed' in pseudo) return pseudo
    const said = this.#read(fields, pseudo.end)
    if ('malformed' in said) return said
    if ('problem' in said) return { ...said, method: pseudo.method }
    const { method, target, authority = said.host } = pseudo
    if (!REQUEST_METHODS.has(method)) return { status: 405, problem: 'the method is not allowed' }
    if (!SCHEME.test(pseudo.scheme) || !TARGET.test(target))
      return { malformed: ':scheme or :path' }
    if (isWhole && (said.bodyBytes ?? 0) > 0) return { malformed: 'the content length' }
    if (!target.startsWith('/')) {
      return { status: 400, problem: 'the request target must be a path', method }
    }
    if (authority === undefined || authority === '') {
      return { status: 400, problem: 'a Host or :authority is needed', method }
    }
    if (!isFieldValue(authority) || SPACE_AROUND.test(authority)) return { malformed: ':authority' }
    if (said.host !== undefined && said.host !== authority) {
      return { status: 400, problem: 'Host and :authority must agree', method }
    }
    const { serverName, memory } = this.#peer
    const head: FrontHead = {
      protocol: 'h2',
      method,
      target,
      authority,
      serverName,
      lines: clientLines(said.lines, this.#peer),
      upgrade: undefined,
      memory,
    }
    return { head, bodyBytes: said.bodyBytes, expectsContinue: said.expectsContinue }
  }

  #read(fields: readonly FieldLine[], from: number): Said | Flaw {
    const before = this.#before
    if (before !== undefined && areSame(before.lines, fields, from)) return before
    const said = readLines(fields.slice(from))
    if ('lines' in said) this.#before = said
    return said
  }
}

/** Whether the lines may stand behind a body. Nobody looks at them further. */
export function areTrailers(fields: readonly FieldLine[]): boolean {
  return 'lines' in readLines(fields)
}

type Pseudo = {
  readonly method: string
  readonly scheme: string
  readonly target: string
  readonly authority: string | undefined
  /** Where the other lines begin. */
  readonly end: number
}

function readPseudo(fields: readonly FieldLine[]): Pseudo | { malformed: string } {
  let method: string | undefined
  let scheme: string | undefined
  let target: string | undefined
  let authority: string | undefined
  let end = 0
  for (const [name, value] of fields) {
    if (name.charCodeAt(0) !== COLON) break
    end += 1
    if (name === ':method' && method === undefined) method = value
    else if (name === ':scheme' && scheme === undefined) scheme = value
    else if (name === ':path' && target === undefined) target = value
    else if (name === ':authority' && authority === undefined) authority = value
    else return { malformed: `the pseudo-header ${end}` }
  }
  if (method === undefined) return { malformed: ':method' }
  return { method, scheme: scheme ?? '', target: target ?? '', authority, end }
}

const COLON = 0x3a

function areSame(lines: HeaderLines, fields: readonly FieldLine[], from: number): boolean {
  if (fields.length - from !== lines.length) return false
  for (let at = 0; at < lines.length; at += 1) {
    const [line, field] = [lines[at], fields[from + at]]
    // What comes from a table is the same object as before.
    if (line !== field && (line?.[0] !== field?.[0] || line?.[1] !== field?.[1])) return false
  }
  return true
}

function readLines(lines: readonly FieldLine[]): Said | Flaw {
  let host: string | undefined
  let expectsContinue = false
  for (const [name, value] of lines) {
    const { key, isToken } = headerName(name)
    // What begins with a colon here comes too late, and is no token.
    if (!isToken || key !== name) return { malformed: 'the name of a header line' }
    if (!isFieldValue(value) || SPACE_AROUND.test(value)) {
      return { malformed: 'the value of a header line' }
    }
    if (OF_CONNECTIONS.has(name) || (name === 'te' && value !== 'trailers')) {
      return { malformed: 'a header line about a connection' }
    }
    if (name === 'expect') {
      if (value.toLowerCase() !== '100-continue') {
        return { status: 417, problem: 'the only expectation is 100-continue' }
      }
      expectsContinue = true
    } else if (name === 'host') {
      if (host !== undefined) return { status: 400, problem: 'there is more than one Host header' }
      host = value
    }
  }
  const bodyBytes = contentLengthOf(lines)
  if (bodyBytes === undefined) return { malformed: 'the content length' }
  return {
    lines,
    host,
    bodyBytes: bodyBytes === 'none' ? undefined : bodyBytes,
    expectsContinue,
  }
}
