import type { Duplex } from 'node:stream'
import {
  type ControlMessage,
  ControlProtocolError,
  createControlDecoder,
  encodeControlMessage,
} from './control-message.ts'

/** One end of a control connection. Pings by itself; a silent or broken other end closes it. */
export type ControlConnection = {
  /** Whether it was sent: false once closed. */
  send(message: ControlMessage): boolean
  /** The other side learns the reason if it is told one. */
  close(reason?: string): void
}

export type ControlConnectionOptions = {
  readonly socket: Duplex
  onMessage(message: ControlMessage): void
  /** Once. */
  onClose(reason: string): void
}

const PING_MS = 3000
const DEAD_MS = 9000
/** Messages are small and few; whoever lets this much wait is not reading. */
const UNSENT_BYTES_MAX = 256 * 1024
const CLOSE_MS = 1000

export function createControlConnection(options: ControlConnectionOptions): ControlConnection {
  const { socket } = options
  const decoder = createControlDecoder()
  let closed = false
  let silentPings = 0

  const finish = (reason: string) => {
    if (closed) return
    closed = true
    clearInterval(pinging)
    socket.end()
    setTimeout(() => socket.destroy(), CLOSE_MS).unref()
    options.onClose(reason)
  }
  const send = (message: ControlMessage): boolean => {
    if (closed) return false
    socket.write(encodeControlMessage(message))
    if (socket.writableLength > UNSENT_BYTES_MAX) finish('the other side does not read')
    return true
  }
  const pinging = setInterval(() => {
    silentPings += 1
    if (silentPings * PING_MS >= DEAD_MS) finish('the other side is silent')
    else send({ type: 'ping' })
  }, PING_MS)
  pinging.unref()

  const take = (chunk: Buffer) => {
    for (const message of decoder.push(chunk)) {
      if (closed) return
      if (message.type !== 'ping') options.onMessage(message)
      if (message.type === 'bye') finish(`the other side closed it: ${message.reason}`)
    }
  }
  socket.on('data', (chunk: Buffer) => {
    silentPings = 0
    if (closed) return
    try {
      take(chunk)
    } catch (error) {
      if (!(error instanceof ControlProtocolError)) throw error
      finish(error.message)
    }
  })
  socket.on('error', (error) => finish(`the connection failed: ${error.message}`))
  socket.on('end', () => finish('the other side closed it'))
  socket.on('close', () => finish('the connection is lost'))

  return {
    send,
    close(reason) {
      if (reason !== undefined) send({ type: 'bye', reason })
      finish(reason ?? 'closed')
    },
  }
}
