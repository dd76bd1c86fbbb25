import { connect } from 'node:http2'
import { eventually, type PosternRecord } from '@postern/bootstrap'
import { recordsWhere, sendRaw } from '@postern/e2e/support'
import type { RecordingWorld } from './recording/recording-world.ts'

/** What came back. Status 0 is no HTTP answer: the connection was closed, the stream reset. */
export type Reply = {
  readonly status: number
  /** Everything that came, over HTTP/1.1 with the head. */
  readonly text: string
  readonly auditId: string
  readonly closed: boolean
}

export type Order = {
  readonly method?: string
  readonly target: string
  readonly token?: string | undefined
  /** Further header lines as they are to stand there. */
  readonly lines?: readonly string[]
  readonly body?: string
}

const RECORD_MS_MAX = 60_000
const STREAM_MS_MAX = 15_000

/** The bytes of a request to the cluster by its own host name. Its target is written as it is. */
export function bytesOf(world: Pick<RecordingWorld, 'host' | 'token'>, order: Order): string {
  const { method = 'GET', target, token = world.token, lines = [], body } = order
  const length = body === undefined ? [] : [`Content-Length: ${Buffer.byteLength(body)}`]
  const head = [
    `${method} ${target} HTTP/1.1`,
    `Host: ${world.host}`,
    ...(token === '' ? [] : [`Authorization: Bearer ${token}`]),
    ...length,
    ...lines,
  ]
  return `${head.join('\r\n')}\r\n\r\n${body ?? ''}`
}

/** One request over HTTP/1.1 on a connection of its own. */
export async function overHttp1(world: RecordingWorld, order: Order): Promise<Reply> {
  const lines = [...(order.lines ?? []), 'Connection: close']
  return await rawly(world, bytesOf(world, { ...order, lines }))
}

/** Bytes as they are, and what comes back until the gateway closes. */
export async function rawly(
  world: RecordingWorld,
  bytes: string,
  until?: (text: string) => boolean,
): Promise<Reply> {
  const { gatewayPort: port, e2e } = world
  const order = { port, ca: e2e.ca, bytes: Buffer.from(bytes, 'latin1') }
  const { text, closed } = await sendRaw({ ...order, ...(until && { until }) })
  return {
    status: Number(/^HTTP\/1\.1 (\d{3})/.exec(text)?.[1] ?? 0),
    text,
    auditId: /^audit-id: (\S+)/im.exec(text)?.[1] ?? '',
    closed,
  }
}

/** One request over HTTP/2, with pseudo-headers and headers as they are to be sent. */
export async function overHttp2(
  world: RecordingWorld,
  order: Order & { readonly headers?: Readonly<Record<string, string>> },
): Promise<Reply> {
  const { method = 'GET', target, token = world.token, headers = {}, body } = order
  const session = connect(`https://127.0.0.1:${world.gatewayPort}`, {
    ca: world.e2e.ca,
    servername: 'localhost',
  })
  return await new Promise((resolve) => {
    let status = 0
    let auditId = ''
    let text = ''
    const timer = setTimeout(() => end(), STREAM_MS_MAX)
    const end = () => {
      clearTimeout(timer)
      session.destroy()
      resolve({ status, text, auditId, closed: true })
    }
    session.on('error', end)
    const stream = session.request({
      ':method': method,
      ':path': target,
      ':authority': world.host,
      ...(token === '' ? {} : { authorization: `Bearer ${token}` }),
      ...headers,
    })
    stream.on('response', (answer) => {
      status = answer[':status'] ?? 0
      auditId = String(answer['audit-id'] ?? '')
    })
    stream.on('data', (chunk: Buffer) => {
      text += chunk.toString()
    })
    stream.on('error', () => {})
    stream.on('close', end)
    // node:http2 has ended a GET by itself.
    if (!stream.writableEnded) stream.end(body ?? '')
  })
}

/** Postern's record of how the request ended. */
export async function outcomeOf(world: RecordingWorld, auditId: string): Promise<PosternRecord> {
  return await eventually(`the outcome of ${auditId}`, RECORD_MS_MAX, async () => {
    const records = await recordsWhere(world.e2e, `auditId=${auditId}`)
    const outcome = records.find(({ stage }) => stage === 'ResponseComplete')
    if (outcome === undefined) throw new Error('it is not recorded yet')
    return outcome
  })
}
