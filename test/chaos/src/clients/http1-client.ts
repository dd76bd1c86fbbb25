import { Agent, request } from 'node:https'
import { type Client, type ClientOptions, HEAD_MS_MAX, retryAfter } from './client.ts'

/** HTTP/1.1 with connections that are kept, or with a new one for each request, as each kubectl makes one. */
export function createHttp1Client(
  { url, ca, token }: ClientOptions,
  { keepAlive }: { readonly keepAlive: boolean },
): Client {
  const agent = new Agent({ ca, keepAlive })
  return {
    send: ({ path, method = 'GET', headers, body }) =>
      new Promise((resolve) => {
        const sent = request(`${url}${path}`, {
          agent,
          method,
          headers: { authorization: `Bearer ${token}`, ...headers },
        })
        const timer = setTimeout(() => sent.destroy(new Error('no answer in time')), HEAD_MS_MAX)
        sent.on('error', ({ message }) => {
          clearTimeout(timer)
          resolve({ kind: 'failed', reason: message, refused: false })
        })
        sent.on('response', (response) => {
          clearTimeout(timer)
          response.on('error', () => {})
          resolve({
            kind: 'answered',
            status: response.statusCode ?? 0,
            retryAfterSeconds: retryAfter(response.headers['retry-after']),
            body: response,
            isConnectionLost: () => true,
          })
        })
        sent.end(body)
      }),
    close: () => agent.destroy(),
  }
}
