import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http'
import type { Duplex, Writable } from 'node:stream'
import { TLSSocket } from 'node:tls'
import { contentLengthOf, type HeaderLines } from '@postern/kube-http'
import type { FrontHead, FrontRequest } from './front-interface.ts'
import { headerValue } from './header-values.ts'

/** A plain request over HTTP/1.1. */
export function http1Request(
  head: FrontHead,
  message: IncomingMessage,
  response: ServerResponse,
  connection: { draining: () => boolean; dismiss: () => void },
): FrontRequest {
  const gone = new AbortController()
  response.on('close', () => {
    if (!response.writableFinished) gone.abort()
  })
  // Errors of a client that went away arrive here; `close` follows and says all there is to say.
  response.on('error', () => {})
  message.on('error', () => {})
  const open = (status: number, headers: HeaderLines, close: boolean): Writable => {
    if (close) connection.dismiss()
    if (close || connection.draining()) response.shouldKeepAlive = false
    response.writeHead(status, headers.flat())
    return response
  }
  return {
    head,
    body: message,
    gone: gone.signal,
    respond({ status, headers }) {
      const body = open(status, headers, false)
      response.flushHeaders()
      return body
    },
    answer({ status, headers }, body, { close = false } = {}) {
      const length = String(body.byteLength)
      const lines: HeaderLines = [...headers, ['Content-Length', length]]
      // A long body that nobody wants is not waited for; a short one is read and dropped.
      const unread = !message.complete && !isShort(head.headers)
      open(status, lines, close || unread).end(head.method === 'HEAD' ? undefined : body)
      message.resume()
    },
    switchProtocols() {
      throw new Error('a plain request is not an upgrade')
    },
    abort: () => response.destroy(),
    get responded() {
      return response.headersSent
    },
  }
}

/** An upgrade over HTTP/1.1: one answer on a connection that is never used for anything else. */
export function http1Upgrade(
  head: FrontHead,
  message: IncomingMessage,
  socket: Duplex,
  early: Buffer,
): FrontRequest {
  const gone = new AbortController()
  let responded = false
  socket.on('error', () => {})
  socket.on('close', () => gone.abort())
  const write = (status: number, headers: HeaderLines) => {
    responded = true
    const lines = headers.map(([name, value]) => `${name}: ${value}\r\n`).join('')
    const text = STATUS_CODES[status] ?? 'Unknown'
    socket.write(`HTTP/1.1 ${status} ${text}\r\n${lines}\r\n`, 'latin1')
  }
  return {
    head,
    body: message,
    gone: gone.signal,
    respond({ status, headers }) {
      write(status, [...withoutFraming(headers), ['Connection', 'close']])
      return socket
    },
    answer({ status, headers }, body) {
      const framing: HeaderLines = [
        ['Content-Length', String(body.byteLength)],
        ['Connection', 'close'],
      ]
      write(status, [...withoutFraming(headers), ...framing])
      socket.end(head.method === 'HEAD' ? undefined : body)
      destroyAfter(socket, 5_000)
    },
    switchProtocols(headers) {
      write(101, headers)
      if (early.length > 0) socket.unshift(early)
      if (socket instanceof TLSSocket) {
        // Idle limits are the business of the two ends, which ping each other.
        socket.setTimeout(0)
        socket.setKeepAlive(true, 30_000)
        socket.setNoDelay(true)
      }
      return socket
    },
    abort: () => socket.destroy(),
    get responded() {
      return responded
    },
  }
}

/** Answers what could not even be parsed, and closes: nothing after it can be trusted. */
export function refuseConnection(socket: Duplex, status: number, text: string): void {
  if (!socket.writable) {
    socket.destroy()
    return
  }
  const reason = STATUS_CODES[status] ?? 'Bad Request'
  const head = [
    `HTTP/1.1 ${status} ${reason}`,
    'Content-Type: text/plain; charset=utf-8',
    'X-Content-Type-Options: nosniff',
    `Content-Length: ${Buffer.byteLength(text)}`,
    'Connection: close',
  ]
  socket.end(`${head.join('\r\n')}\r\n\r\n${text}`)
  destroyAfter(socket, 1_000)
}

const SHORT_BODY_BYTES = 1024 * 1024

function isShort(headers: HeaderLines): boolean {
  const length = contentLengthOf(headers)
  if (length === 'none') return headerValue(headers, 'transfer-encoding') === undefined
  return length !== undefined && length <= SHORT_BODY_BYTES
}

/** A client that does not close its end is not waited for. */
function destroyAfter(socket: Duplex, ms: number): void {
  const timer = setTimeout(() => socket.destroy(), ms)
  socket.once('close', () => clearTimeout(timer))
  socket.resume()
}

function withoutFraming(headers: HeaderLines): HeaderLines {
  const framing = new Set(['connection', 'content-length', 'transfer-encoding'])
  return headers.filter(([name]) => !framing.has(name.toLowerCase()))
}
