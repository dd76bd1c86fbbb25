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
/** RFC 9113, 7. */
const CANCEL = 8

export function openHttp2Session({ gatewayPort, e2e }: RecordingWorld): ClientHttp2Session {
  const session = connect(`https://127.0.0.1:${gatewayPort}`, {
    ca: e2e.ca,
    servername: 'localhost',
  })
  return session.on('error', () => {})
}

type On = { readonly session: ClientHttp2Session; readonly host: string }

/** On a connection of its own. */
export function openHttp2Stream(
  world: RecordingWorld,
  order: Pick<Order, 'target' | 'token'>,
): OpenHttp2Stream {
  const session = openHttp2Session(world)
  const stream = openOn({ session, host: world.host }, { token: world.token, ...order })
  return {
    ...stream,
    close() {
      stream.close()
      session.destroy()
    },
  }
}

/** On this one. */
export function openOn(
  { session, host }: On,
  { target, token = '' }: Pick<Order, 'target' | 'token'>,
): OpenHttp2Stream {
  const stream = session.request({
    ':method': 'GET',
    ':path': target,
    ':authority': host,
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
    close: () => stream.close(CANCEL),
  }
}
