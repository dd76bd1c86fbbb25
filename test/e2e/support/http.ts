import { once } from 'node:events'
import { Agent, request } from 'node:https'
import { connect as connectTls } from 'node:tls'

export type HttpOrder = {
  readonly path: string
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Buffer
}
export type Answer = {
  readonly status: number
  readonly text: string
  readonly headers: Readonly<Record<string, unknown>>
}

const ANSWER_MS_MAX = 30_000
const CONNECT_MS_MAX = 60_000
const RAW_MS_MAX = 30_000
const agents = new Map<string, Agent>()

/** One whole request; any status is an answer. */
export async function send(base: string, ca: string, order: HttpOrder): Promise<Answer> {
  const { method = 'GET', body } = order
  // Node sends a DELETE's body without its length, which makes two requests of one.
  const length = body === undefined ? {} : { 'content-length': Buffer.byteLength(body) }
  const headers = { ...length, ...order.headers }
  const agent = agents.get(ca) ?? new Agent({ ca, keepAlive: true, maxSockets: 16 })
  agents.set(ca, agent)
  return await new Promise((resolve, reject) => {
    const signal = AbortSignal.timeout(ANSWER_MS_MAX)
    const sent = request(base, { method, agent, headers, signal }, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('error', reject)
      response.on('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          text: Buffer.concat(chunks).toString(),
          headers: response.headers,
        }),
      )
    })
    sent.on('error', reject)
    sent.end(body)
  })
}

/** The message of a Kubernetes Status, of problem details, or the text itself. */
export function messageOf({ text }: Pick<Answer, 'text'>): string {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value !== 'object' || value === null) return text
    if ('message' in value) return String(value.message)
    if ('detail' in value) return [value.detail, JSON.stringify(value)].join(' ')
  } catch {
    // Not JSON: the text is the message.
  }
  return text
}

/** Bytes as they are over TLS, and whatever comes back until the other side closes. */
export async function sendRaw(order: {
  readonly port: number
  readonly ca: string
  readonly bytes: string | Buffer
  /** Enough was seen; for what does not close. */
  readonly until?: (text: string) => boolean
  /** How long it may take. */
  readonly msMax?: number
  /** Something came, and then nothing for so long; for what may or may not close. */
  readonly quietMs?: number
}): Promise<{ readonly text: string; readonly closed: boolean }> {
  const { port, ca, bytes, until = () => false, msMax = RAW_MS_MAX, quietMs } = order
  const socket = connectTls({ host: '127.0.0.1', port, ca, servername: 'localhost' })
  let text = ''
  try {
    await once(socket, 'secureConnect', { signal: AbortSignal.timeout(CONNECT_MS_MAX) })
    socket.on('error', () => {})
    socket.write(bytes)
    const closed = await new Promise<boolean>((resolve) => {
      const timer = setTimeout(() => resolve(false), msMax)
      let quiet: NodeJS.Timeout | undefined
      const end = (isClosed: boolean) => {
        clearTimeout(timer)
        clearTimeout(quiet)
        resolve(isClosed)
      }
      socket.on('data', (chunk: Buffer) => {
        text += chunk.toString('latin1')
        if (until(text)) end(false)
        clearTimeout(quiet)
        if (quietMs !== undefined) quiet = setTimeout(() => end(false), quietMs)
      })
      socket.on('close', () => end(true))
      socket.on('end', () => end(true))
    })
    return { text, closed }
  } finally {
    socket.destroy()
  }
}
