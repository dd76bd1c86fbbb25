import { once } from 'node:events'
import { connect, type TLSSocket } from 'node:tls'
import { eventually } from '@postern/bootstrap'
import type { RecordingWorld } from './recording/recording-world.ts'

/** A connection to the gateway on which bytes come and go for as long as a check wants. */
export type OpenConnection = {
  readonly socket: TLSSocket
  /** All that has come, each byte a character. */
  text(): string
  /** What came behind the first head. */
  rest(): string
  isClosed(): boolean
  until(what: string, holds: () => boolean): Promise<void>
  untilClosed(): Promise<void>
  close(): void
}

const CONNECT_MS_MAX = 60_000
const UNTIL_MS_MAX = 30_000

/** Opens one without ALPN, as exec does, and writes the bytes. */
export async function openConnection(
  { gatewayPort: port, e2e }: Pick<RecordingWorld, 'gatewayPort' | 'e2e'>,
  bytes: string,
): Promise<OpenConnection> {
  const socket = connect({ host: '127.0.0.1', port, ca: e2e.ca, servername: 'localhost' })
  await once(socket, 'secureConnect', { signal: AbortSignal.timeout(CONNECT_MS_MAX) })
  let text = ''
  let closed = false
  socket.on('error', () => {})
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1')
  })
  for (const event of ['end', 'close']) socket.on(event, () => (closed = true))
  socket.write(Buffer.from(bytes, 'latin1'))
  const until = async (what: string, holds: () => boolean) => {
    await eventually(what, UNTIL_MS_MAX, async () => {
      if (!holds()) throw new Error(`${closed ? 'closed' : 'open'}: ${text.slice(-500)}`)
    })
  }
  return {
    socket,
    text: () => text,
    rest: () => text.slice(text.indexOf('\r\n\r\n') + 4),
    isClosed: () => closed,
    until,
    untilClosed: () => until('the end of the connection', () => closed),
    close: () => void socket.destroy(),
  }
}

/** A client's WebSocket frame (RFC 6455, 5.2): binary, whole, short, and masked with zeros. */
export function webSocketFrame(text: string): Buffer {
  const payload = Buffer.from(text)
  return Buffer.concat([Buffer.from([0x82, 0x80 | payload.length, 0, 0, 0, 0]), payload])
}
