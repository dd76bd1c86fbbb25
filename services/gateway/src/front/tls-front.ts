import { createServer, type TLSSocket } from 'node:tls'
import type { HeadBudget } from '@postern/kube-http'
import type { Front, RequestHandler, ServingCertificate } from './front-interface.ts'
import { FRONT_LIMITS } from './front-limits.ts'
import type { FrontNeeds } from './front-needs.ts'
import { Http1Connection, type Http1Needs } from './http1-connection.ts'
import { Http2Connection, type Http2Needs } from './http2-connection.ts'
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
  let unflushed: { flush(): void }[] = []

  /** What is written in one turn of the event loop goes out together, for however many clients. */
  function flushSoon(written: { flush(): void }): void {
    if (unflushed.push(written) === 1) setImmediate(flushAll)
  }

  function flushAll(): void {
    const due = unflushed
    unflushed = []
    for (const written of due) written.flush()
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
    if (socket.alpnProtocol === 'h2') {
      const connection = new Http2Connection(socket, peerOf(socket), http2Needs)
      http2.add(connection)
      if (draining) connection.close()
    } else {
      http1.add(new Http1Connection(socket, peerOf(socket), http1Needs))
    }
  })

  const needs: FrontNeeds = { handle, onMalformed, flushSoon, headBudget, limits: FRONT_LIMITS }
  const http1Needs: Http1Needs = {
    ...needs,
    onClosed: (closed) => http1.delete(closed),
    isDraining: () => draining,
  }
  const http2Needs: Http2Needs = { ...needs, onClosed: (closed) => http2.delete(closed) }

  // One look at all of them costs less than a timer for each.
  const sweep = setInterval(() => {
    const nowMs = Date.now()
    for (const connection of http1) connection.checkDeadline(nowMs)
    for (const connection of http2) connection.checkDeadline(nowMs)
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
