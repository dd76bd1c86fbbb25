import type { TLSSocket } from 'node:tls'
import { type OutgoingRequest, writeRequestHead } from '@postern/kube-http'
import { type ExchangeReceiver, UpstreamConnection } from './upstream-connection.ts'
import { UpstreamError } from './upstream-error.ts'

/** One request under way. After `abort` nothing more is called. */
export type Exchange = {
  /** False: wait for `onDrain`. */
  write(chunk: Buffer): boolean
  /** The body of the request is complete. */
  end(): void
  pause(): void
  resume(): void
  abort(): void
}

/**
 * Kept-alive HTTP/1.1 connections to kube-apiserver. One pool serves all sessions: every request
 * carries its own bearer token and the connections carry no client certificate, so that a connection
 * stands for nobody and nothing of one request's identity is left on it for the next.
 */
export type UpstreamPool = {
  /**
   * Sends the head. The body follows through the exchange.
   * @throws UpstreamError `unreachable` or `full`: nothing was sent
   */
  open(request: OutgoingRequest, receiver: ExchangeReceiver): Promise<Exchange>
  readonly connections: number
  close(): void
}

/** Below kube-apiserver's own 90 s, so that a request seldom meets a connection that was just closed. */
const IDLE_MS = 45_000
const SWEEP_MS = 5_000
const IDLE_MAX = 64

export function createUpstreamPool(options: {
  readonly dial: () => Promise<TLSSocket>
  readonly connectionsMax: number
}): UpstreamPool {
  const idle: { connection: UpstreamConnection; since: number }[] = []
  const all = new Set<UpstreamConnection>()
  let dialling = 0
  let closed = false
  const sweeping = setInterval(() => {
    const before = performance.now() - IDLE_MS
    while ((idle[0]?.since ?? Number.POSITIVE_INFINITY) < before) idle.shift()?.connection.destroy()
  }, SWEEP_MS)
  sweeping.unref()

  /** The one used last, which is the least likely to have been closed. */
  function takeIdle(): UpstreamConnection | undefined {
    for (let entry = idle.pop(); entry !== undefined; entry = idle.pop()) {
      if (entry.connection.usable) return entry.connection
      entry.connection.destroy()
    }
    return undefined
  }

  async function connect(): Promise<UpstreamConnection> {
    if (closed) throw new UpstreamError('unreachable', 'the agent is stopping')
    if (all.size + dialling >= options.connectionsMax) {
      throw new UpstreamError('full', 'too many connections to kube-apiserver are in use')
    }
    dialling += 1
    try {
      const socket = await options.dial()
      const connection = new UpstreamConnection(socket, (free) => {
        if (closed || !free.usable || idle.length >= IDLE_MAX) free.destroy()
        else idle.push({ connection: free, since: performance.now() })
      })
      all.add(connection)
      socket.once('close', () => all.delete(connection))
      if (closed) connection.destroy()
      return connection
    } finally {
      dialling -= 1
    }
  }

  return {
    async open(request, receiver) {
      const head = writeRequestHead(request)
      let connection = takeIdle() ?? (await connect())
      // Once it has ended, the connection is somebody else's.
      let active = true
      const isRepeatable = request.framing.kind === 'none'

      function begin(): void {
        const current = connection
        current.begin(head, request, {
          onHead: (received) => active && receiver.onHead(received),
          onBody: (chunk) => active && receiver.onBody(chunk),
          onDrain: () => active && receiver.onDrain(),
          onEnd: () => finish(() => receiver.onEnd()),
          onError(error) {
            // Closed before the request came: it was not seen, and has no body that is gone now.
            if (isRepeatable && current.reused && !current.heard) again(error)
            else finish(() => receiver.onError(error))
          },
        })
      }

      function again(lost: UpstreamError): void {
        connect().then(
          (fresh) => {
            connection = fresh
            if (active) begin()
            else fresh.destroy()
          },
          () => finish(() => receiver.onError(lost)),
        )
      }

      function finish(tell: () => void): void {
        if (!active) return
        active = false
        tell()
      }

      begin()
      return {
        write: (chunk) => !active || connection.write(chunk),
        end: () => active && connection.end(),
        pause: () => active && connection.pause(),
        resume: () => active && connection.resume(),
        abort: () => finish(() => connection.destroy()),
      }
    },
    get connections() {
      return all.size
    },
    close() {
      closed = true
      clearInterval(sweeping)
      for (const connection of all) connection.destroy()
    },
  }
}
