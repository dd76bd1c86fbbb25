import { randomBytes } from 'node:crypto'
import { request } from 'node:https'
import { performance } from 'node:perf_hooks'
import { CLUSTER, type E2eWorld } from './e2e-world.ts'

/** A stream of the user's that is open, and how it ended. */
export type OpenStream = {
  readonly ended: Promise<{ readonly at: number; readonly text: string }>
  text(): string
  close(): void
}

const OPEN_MS_MAX = 30_000

type Where = { readonly gatewayUrl?: string }

/** A watch of pods, once its first event has come. */
export function openWatch(world: E2eWorld, token: string, where: Where = {}): Promise<OpenStream> {
  return open(world, token, '/api/v1/namespaces/team/pods?watch=true', {}, where)
}

/** An exec over WebSocket that runs until its end is said, once it has begun. */
export function openExec(world: E2eWorld, token: string, where: Where = {}): Promise<OpenStream> {
  const command = ['sh', '-c', 'echo ready; cat'].map(
    (word) => `command=${encodeURIComponent(word)}`,
  )
  const path = `/api/v1/namespaces/team/pods/box/exec?stdin=true&stdout=true&${command.join('&')}`
  return open(
    world,
    token,
    path,
    {
      connection: 'Upgrade',
      upgrade: 'websocket',
      'sec-websocket-version': '13',
      'sec-websocket-key': randomBytes(16).toString('base64'),
      'sec-websocket-protocol': 'v5.channel.k8s.io',
    },
    where,
  )
}

async function open(
  world: E2eWorld,
  token: string,
  path: string,
  headers: Readonly<Record<string, string>>,
  { gatewayUrl = world.platform.gatewayUrl }: Where,
): Promise<OpenStream> {
  const sent = request(`${gatewayUrl}/clusters/${CLUSTER}${path}`, {
    ca: world.ca,
    agent: false,
    headers: { authorization: `Bearer ${token}`, ...headers },
  })
  let text = ''
  return await new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      sent.destroy()
      reject(new Error(`${path} did not begin: ${text}`))
    }, OPEN_MS_MAX)
    const begun = (stream: NodeJS.ReadableStream) => {
      const ended = new Promise<{ at: number; text: string }>((end) => {
        const over = () => end({ at: performance.now(), text })
        stream.on('close', over).on('end', over).on('error', over)
      })
      stream.on('data', (chunk: Buffer) => {
        text += chunk.toString('latin1')
        clearTimeout(timer)
        resolve({ ended, text: () => text, close: () => sent.destroy() })
      })
    }
    sent.on('error', reject)
    sent.on('upgrade', (_response, socket) => begun(socket))
    sent.on('response', (response) => {
      if (response.statusCode === 200) {
        begun(response)
        return
      }
      response.on('error', reject)
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk
      })
      response.on('end', () => reject(new Error(`${response.statusCode} ${text}`)))
    })
    sent.end()
  })
}
