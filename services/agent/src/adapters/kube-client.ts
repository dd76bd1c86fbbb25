import { prepareLines, type RequestFraming } from '@postern/kube-http'
import type { Upstream } from '../upstream/exchange.ts'
import { UpstreamError } from '../upstream/upstream-error.ts'

type KubeMethod = 'GET' | 'POST' | 'PUT' | 'DELETE'

/** kube-apiserver said no. The message is its own. */
export class KubeError extends Error {
  override readonly name = 'KubeError'
  readonly status: number

  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

/** kube-apiserver's REST API as the agent itself. Answers are untrusted: parse them. */
export type KubeClient = {
  /**
   * @throws KubeError for any status but 2xx
   * @throws UpstreamError when there was no answer
   */
  request(method: KubeMethod, path: string, body?: object): Promise<unknown>
  /** Each line of a watch as it comes, until the stream or the signal ends. */
  watch(path: string, onLine: (event: unknown) => void, signal: AbortSignal): Promise<void>
}

const ANSWER_MS = 15_000
const ANSWER_BYTES_MAX = 32 * 1024 * 1024
const LINE_BYTES_MAX = 2 * 1024 * 1024
const MESSAGE_CHARACTERS_MAX = 400

export function createKubeClient(needs: {
  readonly pool: Upstream
  readonly host: string
  readonly token: () => Promise<string>
}): KubeClient {
  const { pool } = needs

  async function exchange(
    order: { method: KubeMethod; path: string; body?: Buffer; signal: AbortSignal },
    onBody: (chunk: Buffer, status: number) => void,
  ): Promise<number> {
    const { method, path, body, signal } = order
    const lines = prepareLines([
      ['Host', needs.host],
      ['Authorization', `Bearer ${await needs.token()}`],
      ['Accept', 'application/json'],
      ['User-Agent', 'postern-agent'],
      ...(body === undefined ? [] : ([['Content-Type', 'application/json']] as const)),
    ])
    const framing: RequestFraming =
      body === undefined ? { kind: 'none' } : { kind: 'length', bytes: body.length }
    signal.throwIfAborted()
    let resolve: (status: number) => void = () => {}
    let reject: (error: unknown) => void = () => {}
    const answered = new Promise<number>((onStatus, onError) => {
      resolve = onStatus
      reject = onError
    })
    answered.catch(() => undefined)
    let status = 0
    const sending = pool.send(
      { method, target: path, headers: [lines], framing },
      {
        onReady(exchange) {
          if (body !== undefined) exchange.write(body)
          exchange.end()
        },
        onResponse: (head) => {
          status = head.status
        },
        onResponseBytes(chunk) {
          try {
            onBody(chunk, status)
          } catch (error) {
            reject(error)
          }
        },
        onResponseEnd: () => resolve(status),
        onRequestDrain: () => {},
        onFailure: (error) => reject(error),
      },
    )
    const abort = () => reject(signal.reason)
    signal.addEventListener('abort', abort, { once: true })
    if (signal.aborted) abort()
    try {
      return await answered
    } catch (error) {
      sending.abort()
      throw error
    } finally {
      signal.removeEventListener('abort', abort)
    }
  }

  return {
    async request(method, path, body) {
      const chunks: Buffer[] = []
      let bytes = 0
      const late = new AbortController()
      const timer = setTimeout(
        () => late.abort(new UpstreamError('lost', 'kube-apiserver did not answer in time')),
        ANSWER_MS,
      )
      try {
        const encoded = body && Buffer.from(JSON.stringify(body))
        const order = { method, path, signal: late.signal, ...(encoded && { body: encoded }) }
        const status = await exchange(order, (chunk) => {
          bytes += chunk.length
          if (bytes > ANSWER_BYTES_MAX) throw new UpstreamError('lost', 'the answer is too large')
          chunks.push(Buffer.from(chunk))
        })
        const answer = parseJson(Buffer.concat(chunks).toString('utf8'))
        if (status < 200 || status > 299) throw new KubeError(status, messageIn(answer, status))
        return answer
      } finally {
        clearTimeout(timer)
      }
    },

    async watch(path, onLine, signal) {
      let kept = ''
      const decoder = new TextDecoder()
      const status = await exchange({ method: 'GET', path, signal }, (chunk, code) => {
        kept += decoder.decode(chunk, { stream: true })
        if (kept.length > LINE_BYTES_MAX)
          throw new UpstreamError('lost', 'a watch line is too long')
        if (code !== 200) return
        const lines = kept.split('\n')
        kept = lines.pop() ?? ''
        for (const line of lines) if (line !== '') onLine(parseJson(line))
      })
      if (status !== 200) throw new KubeError(status, messageIn(parseJson(kept), status))
    },
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function messageIn(answer: unknown, status: number): string {
  const message =
    typeof answer === 'object' && answer !== null && 'message' in answer
      ? answer.message
      : undefined
  const text = typeof message === 'string' && message !== '' ? message : `status ${status}`
  return text.slice(0, MESSAGE_CHARACTERS_MAX)
}
