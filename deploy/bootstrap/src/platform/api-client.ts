import { readFileSync } from 'node:fs'
import { Agent, request } from 'node:https'

/** The public API refused a call. */
export class ApiError extends Error {
  override readonly name = 'ApiError'
  readonly status: number
  readonly reason: string

  constructor(status: number, reason: string, detail: string) {
    super(detail)
    this.status = status
    this.reason = reason
  }
}

export type ApiClient = {
  /** JSON in, JSON out. @throws ApiError */
  call(method: string, path: string, body?: object): Promise<Record<string, unknown>>
  /** For what is not JSON: a kubeconfig. @throws ApiError */
  text(path: string): Promise<string>
  withToken(token: string): ApiClient
  readonly token: string | undefined
}

const CALL_MS_MAX = 30_000

/** The public API, as `npm start` and the demo use it to prepare things. */
export function createApiClient(options: {
  url: string
  caFile: string
  token?: string
}): ApiClient {
  const { url, caFile, token } = options
  const agent = new Agent({ ca: readFileSync(caFile), keepAlive: false })

  async function send(method: string, path: string, body: string | undefined): Promise<string> {
    const headers: Record<string, string> =
      body === undefined ? {} : { 'content-type': 'application/json' }
    if (token !== undefined) headers['authorization'] = `Bearer ${token}`
    const { status, text } = await new Promise<{ status: number; text: string }>(
      (resolve, reject) => {
        const signal = AbortSignal.timeout(CALL_MS_MAX)
        const sent = request(url + path, { method, agent, headers, signal }, (response) => {
          const chunks: Buffer[] = []
          response.on('data', (chunk: Buffer) => chunks.push(chunk))
          response.on('error', reject)
          response.on('end', () => {
            resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() })
          })
        })
        sent.on('error', reject)
        sent.end(body)
      },
    )
    if (status !== 200) throw toError(status, text)
    return text
  }

  return {
    async call(method, path, body) {
      return parseObject(
        await send(method, path, body === undefined ? undefined : JSON.stringify(body)),
      )
    },
    text: (path) => send('GET', path, undefined),
    token,
    withToken: (other) => createApiClient({ url, caFile, token: other }),
  }
}

function toError(status: number, text: string): ApiError {
  try {
    const { reason, detail, details } = parseObject(text)
    const more = details === undefined ? '' : ` ${JSON.stringify(details)}`
    const told = typeof detail === 'string' ? detail : text
    return new ApiError(status, typeof reason === 'string' ? reason : '', told + more)
  } catch {
    return new ApiError(status, '', text.slice(0, 500))
  }
}

function parseObject(text: string): Record<string, unknown> {
  const value: unknown = JSON.parse(text)
  if (typeof value !== 'object' || value === null) throw new Error('not an object')
  return Object.fromEntries(Object.entries(value))
}
