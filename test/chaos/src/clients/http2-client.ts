import { type ClientHttp2Session, connect, constants } from 'node:http2'
import { type Client, type ClientOptions, HEAD_MS_MAX, retryAfter } from './client.ts'

/** HTTP/2 on one connection; another is made once that one takes no more requests, as Go's client does. */
export function createHttp2Client({ url, ca, token }: ClientOptions): Client {
  const { origin, pathname } = new URL(url)
  let current: ClientHttp2Session | undefined
  const sessions = new Set<ClientHttp2Session>()

  function session(): ClientHttp2Session {
    if (current !== undefined) return current
    const made = connect(origin, { ca })
    const leave = () => {
      if (current === made) current = undefined
    }
    made.on('error', leave)
    made.on('goaway', leave)
    made.on('close', () => {
      leave()
      sessions.delete(made)
    })
    sessions.add(made)
    current = made
    return made
  }

  return {
    send: ({ path, method = 'GET', headers, body }) =>
      new Promise((resolve) => {
        const through = session()
        const stream = through.request({
          ':method': method,
          ':path': `${pathname}${path}`,
          authorization: `Bearer ${token}`,
          ...headers,
        })
        const timer = setTimeout(() => stream.close(constants.NGHTTP2_CANCEL), HEAD_MS_MAX)
        let refused = false
        stream.on('error', (error: NodeJS.ErrnoException) => {
          // RFC 9113, 6.8 and 8.7: what a GOAWAY or REFUSED_STREAM turned away was not looked at.
          refused =
            stream.rstCode === constants.NGHTTP2_REFUSED_STREAM ||
            error.code === 'ERR_HTTP2_GOAWAY_SESSION'
        })
        stream.on('close', () => {
          clearTimeout(timer)
          resolve({ kind: 'failed', reason: `closed with ${stream.rstCode}`, refused })
        })
        stream.on('response', (head) => {
          clearTimeout(timer)
          resolve({
            kind: 'answered',
            status: head[':status'] ?? 0,
            retryAfterSeconds: retryAfter(head['retry-after']),
            body: stream,
            isConnectionLost: () => through.destroyed,
          })
        })
        stream.end(body)
      }),
    close() {
      for (const one of sessions) one.destroy()
    },
  }
}
