import { createServer, type TLSSocket } from 'node:tls'
import type { HeadBudget } from '@postern/kube-http'
import type { Front, RequestHandler, ServingCertificate } from './front-interface.ts'
import { Http1Connection, type Http1Needs } from './http1-connection.ts'
import type { Http1Exchange } from './http1-exchange.ts'
import { HTTP1_LIMITS } from './http1-limits.ts'
import { type Http2Connection, serveHttp2 } from './http2-connection.ts'
import { peerOf } from './peer.ts'

const HANDSHAKE_TIMEOUT_MS = 10_000
const KEEP_ALIVE_PROBE_MS = 30_000
/** Between telling clients to go elsewhere and closing what is idle: more than a round trip. */
const LAST_CALL_MS = 1_000
const SWEEP_MS = 1_000
/** What unfinished heads of all connections may hold together. */
const HEAD_BUDGET_BYTES = 64 * 1024 * 1024
/** One TLS port: h2 where ALPN says so, HTTP/1.1 for everything else (exec names no protocol at all). */
export function createTlsFront(settings: {
  host: string
  port: number
  certificate: ServingCertificate
  connectionsMax: number
  handle: RequestHandler
  /** Something no request could be read from. */
  onMalformed: (remoteAddress: string, problem: string) => void
}): Front {
  const { handle, onMalformed } = settings
  const sockets = new Set<TLSSocket>()
  const http1 = new Set<Http1Connection>()
  const http2 = new Set<Http2Connection>()
  const headBudget: HeadBudget = { bytesLeft: HEAD_BUDGET_BYTES }
  let draining = false
  let unflushed: Http1Exchange[] = []

  /** What is written in one turn of the event loop goes out together, for however many clients. */
  function flushSoon(exchange: Http1Exchange): void {
    if (unflushed.push(exchange) === 1) setImmediate(flushAll)
  }

  function flushAll(): void {
    const due = unflushed
    unflushed = []
    for (const exchange of due) exchange.flush()
  }

  const server = createServer({
    ...settings.certificate,
    minVersion: 'TLSv1.2',
    ALPNProtocols: ['h2', 'http/1.1'],
    handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
    noDelay: true,
    // A client that vanished without a word is noticed, and what runs for it is cancelled.
    keepAlive: true,
    keepAliveInitialDelay: KEEP_ALIVE_PROBE_MS,
    // An upgraded connection has two ends; others are ended by hand.
    allowHalfOpen: true,
  })
  server.maxConnections = settings.connectionsMax
  server.on('tlsClientError', (_error, socket) => socket.destroy())
  server.on('secureConnection', (socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    if (socket.alpnProtocol === 'h2') serveAsHttp2(socket)
    else http1.add(new Http1Connection(socket, peerOf(socket), http1Needs))
  })

  const http1Needs: Http1Needs = {
    handle,
    onMalformed,
    onClosed: (closed) => http1.delete(closed),
    isDraining: () => draining,
    flushSoon,
    headBudget,
    limits: HTTP1_LIMITS,
  }

  function serveAsHttp2(socket: TLSSocket): void {
    socket.on('error', () => socket.destroy())
    socket.on('end', () => socket.end())
    const connection = serveHttp2(socket, peerOf(socket), {
      handle,
      onMalformed,
      onClosed: (closed) => http2.delete(closed),
      ageMs: HTTP1_LIMITS.ageMs,
    })
    http2.add(connection)
    if (draining) connection.close()
  }

  // One look at all of them costs less than a timer for each.
  const sweep = setInterval(() => {
    const nowMs = Date.now()
    for (const connection of http1) connection.checkDeadline(nowMs)
  }, SWEEP_MS)
  sweep.unref()

  return {
    listen: () =>
      new Promise((resolve, reject) => {
        server.once('error', reject)
        server.listen(settings.port, settings.host, () => {
          server.off('error', reject)
          server.on('error', () => {})
          const address = server.address()
          resolve({ port: typeof address === 'object' && address !== null ? address.port : 0 })
        })
      }),

    async close(deadlineMs) {
      draining = true
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      for (const connection of http2) connection.announceEnd()
      const lastCall = setTimeout(
        () => {
          for (const connection of http1) connection.closeIfIdle()
          for (const connection of http2) connection.close()
        },
        Math.min(LAST_CALL_MS, deadlineMs),
      )
      const timer = setTimeout(() => {
        for (const connection of http2) connection.destroy()
        for (const socket of sockets) socket.destroy()
      }, deadlineMs)
      await closed
      clearTimeout(lastCall)
      clearTimeout(timer)
      clearInterval(sweep)
    },

    setCertificate: (certificate) => {
      server.setSecureContext({ ...certificate, minVersion: 'TLSv1.2' })
    },

    get connections() {
      return sockets.size
    },
  }
}
