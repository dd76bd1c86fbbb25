import { constants, performServerHandshake, type ServerHttp2Session } from 'node:http2'
import type { Duplex } from 'node:stream'
import type { RequestHandler } from './front-interface.ts'
import { Http2Exchange, parseHttp2Head, refuseStream } from './http2-exchange.ts'
import type { Peer } from './peer.ts'

const HEADER_BYTES_MAX = 1024 * 1024
const STREAMS_PER_CONNECTION = 500
const STREAM_ID_MAX = 2 ** 31 - 1

export type Http2Connection = {
  /** RFC 9113, 6.8: a first GOAWAY that refuses nothing, so that no request under way is lost to it. */
  announceEnd(): void
  /** Takes no new streams, and closes once the last one has ended. */
  close(): void
  destroy(): void
}

/** Serves a connection whose ALPN protocol is h2. */
export function serveHttp2(
  socket: Duplex,
  peer: Peer,
  needs: {
    readonly handle: RequestHandler
    readonly onMalformed: (remoteAddress: string, problem: string) => void
    readonly onClosed: (connection: Http2Connection) => void
    readonly ageMs: number
  },
): Http2Connection {
  const session: ServerHttp2Session = performServerHandshake(socket, {
    maxSessionMemory: 64,
    maxHeaderListPairs: 1_000,
    settings: {
      maxConcurrentStreams: STREAMS_PER_CONNECTION,
      maxHeaderListSize: HEADER_BYTES_MAX,
      initialWindowSize: 256 * 1024,
      enablePush: false,
    },
  })
  const connection: Http2Connection = {
    announceEnd() {
      if (!session.destroyed) session.goaway(constants.NGHTTP2_NO_ERROR, STREAM_ID_MAX)
    },
    close: () => session.close(),
    destroy: () => session.destroy(),
  }
  const tooOld = setTimeout(() => session.close(), needs.ageMs)
  tooOld.unref()
  session.on('close', () => {
    clearTimeout(tooOld)
    needs.onClosed(connection)
  })
  session.on('error', () => session.destroy())
  session.on('stream', (stream, _headers, flags, rawHeaders) => {
    const parsed = parseHttp2Head(rawHeaders, peer)
    if ('error' in parsed) {
      needs.onMalformed(peer.remoteAddress, parsed.error)
      refuseStream(stream, parsed.status, parsed.error)
    } else {
      const hasBody = (flags & constants.NGHTTP2_FLAG_END_STREAM) === 0
      needs.handle(new Http2Exchange(parsed.head, stream, { hasBody }))
    }
  })
  return connection
}
