import { type ClientHttp2Session, connect } from 'node:http2'
import { Agent, request as httpsRequest } from 'node:https'
import { TIER_RULES } from '@postern/access'
import { CLUSTER, type E2eWorld } from '@postern/e2e/support'
import { type Granted, grantedUser } from '../granted-user.ts'
import type { GeneratedRequest } from './generated-request.ts'

/** A user with a grant of his own, and his connections. */
export type Sender = {
  /** Answers the status; 0 where there was no answer. `mark` is in every record of the request. */
  send(request: GeneratedRequest, mark: string): Promise<number>
  close(): void
}

const ANSWER_MS_MAX = 60_000
const PREFIX = `/clusters/${CLUSTER}`

export async function createSender(
  world: E2eWorld,
  user: Pick<Granted, 'name' | 'namespaces'>,
): Promise<Sender> {
  const rules = TIER_RULES['postern-edit']
  const secret = await grantedUser(world, { ...user, cluster: CLUSTER, rules })
  const { ca, platform } = world
  const agent = new Agent({ ca, keepAlive: true, maxSockets: 20 })
  const { hostname: host, port } = new URL(platform.gatewayUrl)
  let session: ClientHttp2Session | undefined
  const headersFor = (mark: string) => ({
    authorization: `Bearer ${secret}`,
    'content-type': 'application/json',
    accept: 'application/json',
    'user-agent': mark,
  })

  function overHttp1({ method, path, body }: GeneratedRequest, mark: string): Promise<number> {
    const length = body === undefined ? {} : { 'content-length': Buffer.byteLength(body) }
    const headers = { ...headersFor(mark), ...length }
    return new Promise((resolve) => {
      const signal = AbortSignal.timeout(ANSWER_MS_MAX)
      // As it is: a URL would be put right.
      const order = { host, port, method, path: PREFIX + path, agent, headers, signal }
      const sent = httpsRequest(order, (response) => {
        response.on('error', () => {}).resume()
        response.on('close', () => resolve(response.statusCode ?? 0))
      })
      sent.on('error', () => resolve(0))
      sent.end(body)
    })
  }

  function overHttp2({ method, path, body }: GeneratedRequest, mark: string): Promise<number> {
    if (session === undefined || session.closed || session.destroyed) {
      session = connect(platform.gatewayUrl, { ca })
      session.on('error', () => {})
    }
    const stream = session.request({
      ':method': method,
      ':path': PREFIX + path,
      ...headersFor(mark),
    })
    let status = 0
    return new Promise((resolve) => {
      stream.setTimeout(ANSWER_MS_MAX, () => stream.close())
      stream.on('response', (headers) => {
        status = headers[':status'] ?? 0
      })
      stream.on('error', () => {})
      stream.on('close', () => resolve(status))
      stream.resume()
      if (!stream.writableEnded) stream.end(body)
    })
  }

  return {
    async send(request, mark) {
      try {
        return await (request.over === 'h2' ? overHttp2 : overHttp1)(request, mark)
      } catch {
        // The client's own library refuses to send it.
        return 0
      }
    },
    close() {
      session?.destroy()
      agent.destroy()
    },
  }
}
