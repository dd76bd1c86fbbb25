import { type ClientHttp2Session, type ClientHttp2Stream, connect } from 'node:http2'
import { request as httpsRequest } from 'node:https'
import type { Gateway } from './gateway-harness.ts'
import { TOKEN } from './world.ts'

export const PODS = '/api/v1/namespaces/team/pods'
export const SECRETS = '/api/v1/namespaces/team/secrets'

export type Order = {
  method?: string
  path?: string
  token?: string
  authority?: string
  headers?: Record<string, string>
  body?: string | Buffer
  session?: ClientHttp2Session
}
export type End = 'clean' | 'aborted'

/** A client as kubectl is one: h2 on one connection, and HTTP/1.1 without ALPN. */
export function createClient({ port }: Pick<Gateway, 'port'>) {
  const h2 = http2To(port)
  return {
    /** A whole request and answer over h2. */
    ask: (order: Order = {}) => ask(order.session ?? h2, order),
    stream: (path: string) => requestOver(h2, path),
    /** For node:https. */
    options: (path: string) => ({
      host: '127.0.0.1',
      port,
      path,
      rejectUnauthorized: false,
      agent: false as const,
      headers: { host: 'demo.localhost', authorization: `Bearer ${TOKEN}` },
    }),
    textOverH2: (path: string, onData?: () => void) => textOverH2(requestOver(h2, path), onData),
    textOverH1(path: string, onData: () => void = () => {}): Promise<{ text: string; end: End }> {
      return new Promise((resolve) => {
        const asked = httpsRequest(this.options(path), (response) => {
          let text = ''
          response.on('data', (chunk: Buffer) => {
            text += chunk.toString()
            onData()
          })
          response.on('error', () => {})
          response.on('close', () =>
            resolve({ text, end: response.complete ? 'clean' : 'aborted' }),
          )
        })
        asked.on('error', () => {})
        asked.end()
      })
    },
    close: () => h2.destroy(),
  }
}

export function http2To(port: number, servername?: string): ClientHttp2Session {
  const session = connect(`https://127.0.0.1:${port}`, {
    rejectUnauthorized: false,
    ...(servername === undefined ? {} : { servername }),
  })
  session.on('error', () => {})
  return session
}

async function ask(session: ClientHttp2Session, order: Order) {
  const { method = 'GET', path = PODS, token = TOKEN, authority = 'demo.localhost' } = order
  const stream = session.request({
    ':method': method,
    ':path': path,
    ':authority': authority,
    authorization: `Bearer ${token}`,
    ...order.headers,
  })
  return await new Promise<{
    status: number | 'reset'
    text: string
    headers: Record<string, unknown>
  }>((resolve) => {
    let status: number | 'reset' = 'reset'
    let headers: Record<string, unknown> = {}
    let text = ''
    stream.on('response', (response) => {
      status = response[':status'] ?? 'reset'
      headers = response
    })
    stream.on('data', (chunk: Buffer) => {
      text += chunk.toString()
    })
    stream.on('error', () => {})
    stream.on('close', () => resolve({ status, text, headers }))
    // node:http2 has ended a GET by itself.
    if (!stream.writableEnded) stream.end(order.body ?? '')
  })
}

function requestOver(session: ClientHttp2Session, path: string): ClientHttp2Stream {
  const stream = session.request({
    ':path': path,
    ':authority': 'demo.localhost',
    authorization: `Bearer ${TOKEN}`,
  })
  stream.on('error', () => {})
  return stream
}

async function textOverH2(
  stream: ClientHttp2Stream,
  onData: () => void = () => {},
): Promise<{ text: string; end: End }> {
  let text = ''
  let ended = false
  stream.on('data', (chunk: Buffer) => {
    text += chunk.toString()
    onData()
  })
  stream.on('end', () => {
    ended = true
  })
  await new Promise((resolve) => stream.once('close', resolve))
  return { text, end: ended && stream.rstCode === 0 ? 'clean' : 'aborted' }
}
