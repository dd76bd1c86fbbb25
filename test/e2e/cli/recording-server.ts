import { createServer } from 'node:https'
import { text } from 'node:stream/consumers'
import { createWebCertificate } from '@postern/pki'

export type Asked = {
  /** "POST /v1/groups". */
  readonly call: string
  readonly token: string | undefined
  readonly body: unknown
}

export type Reply = { readonly status?: number; readonly type?: string; readonly body?: unknown }

/** What the server says to a call; `undefined` for an empty JSON object. */
export type Script = (asked: Asked) => Reply | undefined

/** An HTTPS server in the place of the public API, that writes down what it is asked. */
export async function startRecordingServer() {
  const web = await createWebCertificate({
    dnsNames: ['localhost'],
    ipAddresses: ['127.0.0.1'],
    now: new Date(),
    lifeDays: 1,
  })
  const asked: Asked[] = []
  let script: Script = () => undefined
  const server = createServer({ cert: web.cert, key: web.key }, (request, response) => {
    void text(request).then((body) => {
      const one: Asked = {
        call: `${request.method} ${decodeURI(request.url ?? '')}`,
        token: request.headers.authorization?.replace('Bearer ', ''),
        body: body === '' ? undefined : JSON.parse(body),
      }
      asked.push(one)
      const { status = 200, type = 'application/json', body: answer = {} } = script(one) ?? {}
      response.writeHead(status, { 'content-type': type, location: 'https://elsewhere.example/' })
      response.end(typeof answer === 'string' ? answer : JSON.stringify(answer))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('not listening on TCP')
  const { port } = address
  return {
    url: `https://127.0.0.1:${port}`,
    ca: web.ca,
    asked,
    answer(next: Script) {
      script = next
      asked.splice(0)
    },
    async stop() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** What the API says when a rule refuses (RFC 9457). */
export function problem(status: number, fields: object): Reply {
  return {
    status,
    type: 'application/problem+json',
    body: { type: 'about:blank', status, title: 'x', ...fields },
  }
}
