import { type ClientHttp2Session, connect } from 'node:http2'
import { eventually } from '@postern/bootstrap'
import type { Order } from './client.ts'
import type { RecordingWorld } from './recording/recording-world.ts'

/** A request over HTTP/2 whose answer is looked at while it comes. */
export type OpenHttp2Stream = {
  /** 0 before there is one. */
  status(): number
  text(): string
  /** The code with which the stream ended; 0 is a clean end. */
  reset(): number | undefined
  until(what: string, holds: () => boolean): Promise<void>
  close(): void
}

const UNTIL_MS_MAX = 30_000

export function openHttp2Session({ gatewayPort, e2e }: RecordingWorld): ClientHttp2Session {
  const session = connect(`https://127.0.0.1:${gatewayPort}`, {
    ca: e2e.ca,
    servername: 'localhost',
  })
  return session.on('error', () => {})
}

/** On a connection of its own, unless one is given. */
export function openHttp2Stream(
  world: RecordingWorld,
  { target, token = world.token }: Pick<Order, 'target' | 'token'>,
  on?: { readonly session: ClientHttp2Session; readonly host?: string },
): OpenHttp2Stream {
  const session = on?.session ?? openHttp2Session(world)
  const stream = session.request({
    ':method': 'GET',
    ':path': target,
    ':authority': on?.host ?? world.host,
    authorization: `Bearer ${token}`,
  })
  let status = 0
  let text = ''
  let reset: number | undefined
  stream.on('response', (headers) => {
    status = headers[':status'] ?? 0
  })
  stream.on('data', (chunk: Buffer) => {
    text += chunk.toString()
  })
  stream.on('error', () => {})
  stream.on('close', () => {
    reset = stream.rstCode
  })
  return {
    status: () => status,
    text: () => text,
    reset: () => reset,
    async until(what, holds) {
      await eventually(what, UNTIL_MS_MAX, async () => {
        if (!holds()) throw new Error(`${status} ${reset ?? 'open'}: ${text.slice(-500)}`)
      })
    },
    close() {
      stream.close(8)
      if (on === undefined) session.destroy()
    },
  }
}
