import type { IncomingMessage, ServerResponse } from 'node:http'
import { constants, performServerHandshake, type ServerHttp2Session } from 'node:http2'
import { createServer, type Server } from 'node:https'
import type { Duplex } from 'node:stream'
import { TLSSocket } from 'node:tls'
import { toHeaderLines, wantedUpgrade } from '@postern/kube-http'
import type { Front, FrontHead, RequestHandler, ServingCertificate } from './front-interface.ts'
import { http1FramingError } from './http1-framing.ts'
import { http1Request, http1Upgrade, refuseConnection } from './http1-request.ts'
import { http2Request, parseHttp2Head, refuseStream } from './http2-request.ts'

const HEADER_BYTES_MAX = 1024 * 1024
const HEADER_TIMEOUT_MS = 32_000
const HANDSHAKE_TIMEOUT_MS = 10_000
/** Above Go's idle pool of 90 s, so that the client closes first and no request meets a reset. */
const KEEP_ALIVE_MS = 120_000
const STREAMS_PER_CONNECTION = 500
/** Then clients connect anew: to new gateways too, and with whatever TLS state is current. */
const CONNECTION_AGE_MS = 60 * 60_000
const STREAM_ID_MAX = 2 ** 31 - 1
/** Between telling clients to go elsewhere and closing what is idle: more than a round trip. */
const LAST_CALL_MS = 1_000

/** Node's own servers on one TLS port: ALPN h2, http/1.1, and none at all (exec sends none). */
export function createNodeFront(settings: {
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
  const sessions = new Set<ServerHttp2Session>()
  // Node goes on parsing what was pipelined behind a request whose answer ends the connection.
  const dismissed = new WeakSet<Duplex>()
  let draining = false

  const server = createServer({
    ...tlsOptions(settings.certificate),
    ALPNProtocols: ['h2', 'http/1.1'],
    minVersion: 'TLSv1.2',
    handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
    headersTimeout: HEADER_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    insecureHTTPParser: false,
    // Checked in http1-framing.ts, with an answer that says what is wrong.
    requireHostHeader: false,
  })
  Object.assign(server, { maxHeaderSize: HEADER_BYTES_MAX })
  server.maxConnections = settings.connectionsMax
  serveHttp2BesideHttp1(server)
  server.on('request', onHttp1Request)
  server.on('upgrade', onHttp1Upgrade)
  server.on('connect', (_message: IncomingMessage, socket: Duplex) => {
    refuse(socket, 405, 'CONNECT is not served here')
  })
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Duplex) => {
    if (error.code === 'ECONNRESET') {
      socket.destroy()
      return
    }
    const tooLarge = error.code === 'HPE_HEADER_OVERFLOW'
    const late = error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
    const problem = tooLarge ? 'the headers are too large' : 'the request is malformed or late'
    refuse(socket, tooLarge ? 431 : late ? 408 : 400, problem)
  })
  server.on('tlsClientError', (_error, socket) => socket.destroy())

  function refuse(socket: Duplex, status: number, problem: string): void {
    if (dismissed.has(socket)) return
    dismissed.add(socket)
    onMalformed(addressOf(socket), problem)
    refuseConnection(socket, status, problem)
  }

  function serveHttp2BesideHttp1(https: Server): void {
    // node:https serves every TLS connection as HTTP/1.1; ALPN decides before it does.
    const http1 = https.listeners('secureConnection')
    https.removeAllListeners('secureConnection')
    https.on('secureConnection', (socket: TLSSocket) => {
      sockets.add(socket)
      socket.on('close', () => sockets.delete(socket))
      socket.on('error', () => socket.destroy())
      if (socket.alpnProtocol === 'h2') serveHttp2(socket)
      else for (const serve of http1) Reflect.apply(serve, https, [socket])
    })
  }

  function serveHttp2(socket: TLSSocket): void {
    const session = performServerHandshake(socket, {
      maxSessionMemory: 64,
      maxHeaderListPairs: 1_000,
      settings: {
        maxConcurrentStreams: STREAMS_PER_CONNECTION,
        maxHeaderListSize: HEADER_BYTES_MAX,
        initialWindowSize: 256 * 1024,
        enablePush: false,
      },
    })
    sessions.add(session)
    const tooOld = setTimeout(() => session.close(), CONNECTION_AGE_MS)
    tooOld.unref()
    session.on('close', () => {
      clearTimeout(tooOld)
      sessions.delete(session)
    })
    session.on('error', () => session.destroy())
    const connection = {
      serverName: serverNameOf(socket),
      remoteAddress: addressOf(socket),
    }
    session.on('stream', (stream, _headers, _flags, rawHeaders) => {
      const parsed = parseHttp2Head(rawHeaders, connection)
      if ('error' in parsed) {
        onMalformed(connection.remoteAddress, parsed.error)
        refuseStream(stream, parsed.status, parsed.error)
      } else {
        handle(http2Request(parsed.head, stream))
      }
    })
    if (draining) session.close()
  }

  function onHttp1Request(message: IncomingMessage, response: ServerResponse): void {
    const { socket } = message
    if (dismissed.has(socket)) return
    const parsed = parseHttp1Head(message)
    if ('error' in parsed) {
      refuse(socket, 400, parsed.error)
      return
    }
    const dismiss = () => dismissed.add(socket)
    const connection = { draining: () => draining, dismiss }
    handle(http1Request(parsed.head, message, response, connection))
  }

  function onHttp1Upgrade(message: IncomingMessage, socket: Duplex, early: Buffer): void {
    if (dismissed.has(socket)) return
    const parsed = parseHttp1Head(message)
    if ('error' in parsed) {
      refuse(socket, 400, parsed.error)
    } else if (parsed.head.upgrade === 'websocket' && early.length > 0) {
      refuse(socket, 400, 'bytes came before the upgrade was answered')
    } else {
      handle(http1Upgrade(parsed.head, message, socket, early))
    }
  }

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
      // RFC 9113, 6.8: the first GOAWAY refuses nothing, so that no request under way is lost to it.
      for (const session of sessions) {
        if (!session.destroyed) session.goaway(constants.NGHTTP2_NO_ERROR, STREAM_ID_MAX)
      }
      const lastCall = setTimeout(
        () => {
          server.closeIdleConnections()
          for (const session of sessions) session.close()
        },
        Math.min(LAST_CALL_MS, deadlineMs),
      )
      const timer = setTimeout(() => {
        for (const session of sessions) session.destroy()
        for (const socket of sockets) socket.destroy()
      }, deadlineMs)
      await closed
      clearTimeout(lastCall)
      clearTimeout(timer)
    },

    setCertificate: (certificate) => server.setSecureContext(tlsOptions(certificate)),

    get connections() {
      return sockets.size
    },
  }
}

function parseHttp1Head(message: IncomingMessage): { head: FrontHead } | { error: string } {
  const headers = toHeaderLines(message.rawHeaders)
  const target = message.url ?? ''
  const error = http1FramingError({ httpVersion: message.httpVersion, target, headers })
  if (error !== undefined) return { error }
  const wanted = wantedUpgrade(message.method ?? '', headers)
  if (wanted.kind === 'malformed') return { error: wanted.problem }
  const head: FrontHead = {
    protocol: 'http/1.1',
    method: message.method ?? '',
    target,
    authority: message.headers.host ?? '',
    serverName: serverNameOf(message.socket),
    headers,
    remoteAddress: addressOf(message.socket),
    upgrade: wanted.kind === 'upgrade' ? wanted.protocol : undefined,
  }
  return { head }
}

function tlsOptions({ cert, key }: ServingCertificate) {
  return { cert, key, minVersion: 'TLSv1.2' as const }
}

function serverNameOf(socket: Duplex): string | undefined {
  if (!(socket instanceof TLSSocket)) return undefined
  return typeof socket.servername === 'string' ? socket.servername.toLowerCase() : undefined
}

function addressOf(socket: Duplex): string {
  const address = socket instanceof TLSSocket ? socket.remoteAddress : undefined
  return (address ?? '').replace(/^::ffff:/, '')
}
