import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { Duplex } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { createTestAuthority } from '@postern/pki/testing'
import { accountOf, createAgentObjects } from './agent-objects.ts'

/** A request as it arrived in the place of kube-apiserver. */
export type Arrived = {
  readonly method: string
  readonly target: string
  /** Line by line, names as they were written. */
  readonly headers: readonly (readonly [string, string])[]
  /** Of the token; undefined where it is none that this server gave out. */
  readonly account: string | undefined
  readonly auditId: string
  readonly upgrade: boolean
  /** Once the body has come whole. */
  body?: Buffer
  trailers?: readonly string[]
}

/** How a test lets the API server answer; it may say anything on the response's socket, too. */
type Handlers = {
  request: (arrived: Arrived, response: ServerResponse, request: IncomingMessage) => void
  upgrade: (arrived: Arrived, socket: Duplex, head: Buffer) => void
}

export type RecordingApiServer = {
  /** host:port. */
  readonly address: string
  readonly ca: string
  readonly agentToken: string
  /** What came under an account, or under nobody's name: everything that is not the agent's own. */
  readonly arrived: Arrived[]
  /** What the agent asked for in its own name. */
  readonly ofAgent: readonly { readonly target: string; readonly body: string }[]
  /** What was no HTTP. */
  readonly malformed: string[]
  readonly handlers: Handlers
  /** Forgets what arrived, and answers as at first. */
  reset(): void
  close(): Promise<void>
}

/** In the place of kube-apiserver: keeps what arrives, and answers what a test wants it to answer. */
export async function startRecordingApiServer(): Promise<RecordingApiServer> {
  const authority = await createTestAuthority()
  const { cert, key } = await authority.material('service/apiserver', { dnsNames: ['localhost'] })
  const agentToken = 'of-the-agent-itself'
  const objects = createAgentObjects()
  const arrived: Arrived[] = []
  const malformed: string[] = []
  const ofAgent: { target: string; body: string }[] = []
  const handlers = { ...USUAL }
  const open = new Set<Duplex>()

  const server = createServer({ cert, key, keepAlive: true, maxHeaderSize: 2 << 20 })
  server.keepAliveTimeout = 0
  server.on('connection', (socket: Duplex) => {
    open.add(socket)
    socket.on('close', () => open.delete(socket))
  })
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    response.on('error', () => {})
    request.on('error', () => {})
    if (isAgents(request)) {
      void answerAgent(request, response)
      return
    }
    const one = toArrived(request, false)
    arrived.push(one)
    handlers.request(one, response, request)
  })
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on('error', () => {})
    const one = toArrived(request, true)
    arrived.push(one)
    handlers.upgrade(one, socket, head)
  })
  server.on('clientError', (error: Error & { code?: string }, socket: Duplex) => {
    const { code = '', message } = error
    // The agent broke a request off: that ends its connection in the middle.
    const isEnd = code === 'ECONNRESET' || code === 'HPE_INVALID_EOF_STATE'
    if (!isEnd) malformed.push(`${code} ${message}`)
    socket.destroy()
  })

  function isAgents({ headers }: IncomingMessage): boolean {
    return headers.authorization === `Bearer ${agentToken}`
  }

  async function answerAgent(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url = '' } = request
    const body = (await buffer(request)).toString()
    ofAgent.push({ target: url, body })
    if (url.includes('watch=true')) {
      // Nothing happens to the namespaces of this cluster.
      response.writeHead(200, { 'content-type': 'application/json' }).flushHeaders()
      return
    }
    const answer = objects.answer(method, url, body)
    response.writeHead(answer.status, { 'content-type': 'application/json' })
    response.end(JSON.stringify(answer.body))
  }

  server.listen(0, 'localhost')
  await once(server, 'listening')
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  return {
    address: `localhost:${port}`,
    ca: authority.ca,
    agentToken,
    arrived,
    ofAgent,
    malformed,
    handlers,
    reset() {
      arrived.length = 0
      malformed.length = 0
      Object.assign(handlers, USUAL)
    },
    async close() {
      server.close()
      for (const socket of open) socket.destroy()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}

const USUAL: Handlers = {
  request(arrived, response, request) {
    buffer(request).then(
      (body) => {
        arrived.body = body
        arrived.trailers = request.rawTrailers
        // As kube-apiserver does: the id that it was told.
        const headers = { 'content-type': 'application/json', 'audit-id': arrived.auditId }
        response.writeHead(200, headers).end('{}')
      },
      // Broken off: it never arrived whole.
      () => response.destroy(),
    )
  },
  upgrade(_arrived, socket) {
    socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n')
  },
}

function toArrived(request: IncomingMessage, upgrade: boolean): Arrived {
  const { method = '', url = '', rawHeaders } = request
  const headers: [string, string][] = []
  for (let at = 0; at < rawHeaders.length; at += 2) {
    headers.push([rawHeaders[at] ?? '', rawHeaders[at + 1] ?? ''])
  }
  const valuesOf = (wanted: string) =>
    headers.filter(([name]) => name.toLowerCase() === wanted).map(([, value]) => value)
  const tokens = valuesOf('authorization').map((value) => value.replace(/^Bearer /, ''))
  const [token = ''] = tokens.length === 1 ? tokens : []
  const [auditId = ''] = valuesOf('audit-id')
  return { method, target: url, headers, account: accountOf(token), auditId, upgrade }
}
