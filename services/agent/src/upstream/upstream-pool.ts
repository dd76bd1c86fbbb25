import { type OutgoingRequest, type ResponseHead, writeRequestHead } from '@postern/kube-http'
import { dialKubernetes, type KubernetesServer } from './dial-kubernetes.ts'
import type { Exchange, ExchangeReceiver, Upstream } from './exchange.ts'
import { type ConnectionUser, UpstreamConnection } from './upstream-connection.ts'
import { UpstreamError } from './upstream-error.ts'

/**
 * Kept-alive HTTP/1.1 connections to kube-apiserver. One pool serves all sessions: every request
 * carries its own bearer token and the connections carry no client certificate, so that a connection
 * stands for nobody and nothing of one request's identity is left on it for the next.
 */
export type UpstreamPool = Upstream & {
  readonly connections: number
  close(): void
}

/** Below kube-apiserver's own 90 s, so that a request seldom meets a connection that was just closed. */
const IDLE_MS = 45_000
const SWEEP_MS = 5_000
const IDLE_MAX = 64

export function createUpstreamPool(options: {
  readonly server: KubernetesServer
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

  function onIdle(connection: UpstreamConnection): void {
    if (closed || !connection.usable || idle.length >= IDLE_MAX) connection.destroy()
    else idle.push({ connection, since: performance.now() })
  }

  async function connect(): Promise<UpstreamConnection> {
    if (closed) throw new UpstreamError('unreachable', 'the agent is stopping')
    if (all.size + dialling >= options.connectionsMax) {
      throw new UpstreamError('full', 'too many connections to kube-apiserver are in use')
    }
    dialling += 1
    try {
      let connection: UpstreamConnection | undefined
      let spoke = false
      const onRead = (chunk: Buffer) => {
        spoke = true
        connection?.read(chunk)
      }
      const socket = await dialKubernetes(options.server, { onRead })
      connection = new UpstreamConnection(socket, onIdle)
      all.add(connection)
      const { connection: made } = { connection }
      socket.once('close', () => all.delete(made))
      // A server that speaks first is none that is meant.
      if (closed || spoke) connection.destroy()
      return connection
    } finally {
      dialling -= 1
    }
  }

  return {
    send(request, receiver) {
      const exchange = new PooledExchange(request, receiver, connect)
      const connection = takeIdle()
      if (connection === undefined) exchange.connect()
      else exchange.begin(connection)
      return exchange
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

class PooledExchange implements Exchange, ConnectionUser {
  readonly request: OutgoingRequest
  readonly head: string
  readonly #receiver: ExchangeReceiver
  readonly #dial: () => Promise<UpstreamConnection>
  /** Only while it works for this exchange: afterwards it is somebody else's. */
  #connection: UpstreamConnection | undefined
  #ready = false
  #over = false

  constructor(
    request: OutgoingRequest,
    receiver: ExchangeReceiver,
    dial: () => Promise<UpstreamConnection>,
  ) {
    this.request = request
    this.head = writeRequestHead(request)
    this.#receiver = receiver
    this.#dial = dial
  }

  begin(connection: UpstreamConnection): void {
    this.#connection = connection
    connection.begin(this)
    if (this.#ready) return
    this.#ready = true
    this.#receiver.onReady(this)
  }

  /** On a new connection; `lost` is why it is the second one. */
  connect(lost?: UpstreamError): void {
    this.#dial().then(
      (connection) => {
        if (this.#over) connection.destroy()
        else if (connection.usable) this.begin(connection)
        else this.#fail(lost ?? new UpstreamError('unreachable', 'kube-apiserver hung up'))
      },
      (error: unknown) => this.#fail(lost ?? toUpstreamError(error)),
    )
  }

  write(chunk: Buffer): boolean {
    return this.#connection?.write(chunk) ?? true
  }

  end(): void {
    this.#connection?.end()
  }

  pause(): void {
    this.#connection?.pause()
  }

  resume(): void {
    this.#connection?.resume()
  }

  abort(): void {
    const connection = this.#connection
    this.#over = true
    this.#connection = undefined
    connection?.destroy()
  }

  // What its connection says.

  onHead(head: ResponseHead): void {
    this.#receiver.onResponse(head)
  }

  onBody(chunk: Buffer): void {
    this.#receiver.onResponseBytes(chunk)
  }

  onDrain(): void {
    this.#receiver.onRequestDrain()
  }

  onEnd(): void {
    this.#over = true
    this.#connection = undefined
    this.#receiver.onResponseEnd()
  }

  onLost(error: UpstreamError, unseen: boolean): void {
    this.#connection = undefined
    // Closed before the request came: it was not seen, and has no body that is gone now (RFC 9110, 9.2.2).
    if (unseen && this.request.framing.kind === 'none') this.connect(error)
    else this.#fail(error)
  }

  #fail(error: UpstreamError): void {
    if (this.#over) return
    this.#over = true
    this.#receiver.onFailure(error)
  }
}

function toUpstreamError(error: unknown): UpstreamError {
  if (error instanceof UpstreamError) return error
  return new UpstreamError('unreachable', 'kube-apiserver cannot be reached', { cause: error })
}
