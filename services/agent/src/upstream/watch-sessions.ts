import { type ClientHttp2Session, connect } from 'node:http2'
import type { TLSSocket } from 'node:tls'
import type { OutgoingRequest } from '@postern/kube-http'
import { dialKubernetes, type KubernetesServer } from './dial-kubernetes.ts'
import type { Exchange, ExchangeReceiver, Upstream } from './exchange.ts'
import { StreamExchange } from './stream-exchange.ts'
import { UpstreamError } from './upstream-error.ts'

/**
 * Watches go to kube-apiserver over HTTP/2 where it offers that, for an idle one then costs a stream and
 * not a connection. Nothing else goes there: a bulk answer would hold up the watches beside it
 * (kubernetes#67902). kube-apiserver takes 100 streams on a connection, and so do we.
 */
export type WatchSessions = Upstream & {
  readonly connections: number
  close(): void
}

const PROTOCOLS = ['h2', 'http/1.1']
const STREAMS_MAX = 100
const WINDOW_BYTES = 256 * 1024
const SESSION_WINDOW_BYTES = 1024 * 1024
const SESSION_MEMORY_MIB = 64
/** After this long it is asked again whether it speaks HTTP/2. */
const ASK_AGAIN_MS = 60_000
/** How long a connection stays for the next watch. */
const IDLE_MS = 30_000
/** A connection that leaves one ping unanswered until the next is broken (as client-go's health check). */
const PING_MS = 30_000

export function createWatchSessions(options: {
  readonly server: KubernetesServer
  readonly sessionsMax: number
  /** Takes what does not go over HTTP/2. */
  readonly otherwise: Upstream
}): WatchSessions {
  const { server, sessionsMax, otherwise } = options
  const sessions = new Set<WatchSession>()
  let askAgainAt = 0
  let closed = false

  /** One with room, or a new one. */
  function takeSession(): WatchSession | undefined {
    for (const session of sessions) if (session.hasRoom) return session
    if (closed || sessions.size >= sessionsMax || performance.now() < askAgainAt) return undefined
    const session: WatchSession = new WatchSession(
      dialKubernetes(server, { protocols: PROTOCOLS }),
      {
        onRefused() {
          askAgainAt = performance.now() + ASK_AGAIN_MS
        },
        onClosed: () => sessions.delete(session),
      },
    )
    sessions.add(session)
    return session
  }

  return {
    send(request, receiver) {
      const session = takeSession()
      if (session === undefined) return otherwise.send(request, receiver)
      return new WatchExchange(request, receiver, { session, otherwise })
    },
    get connections() {
      return sessions.size
    },
    close() {
      closed = true
      for (const session of sessions) session.destroy()
    },
  }
}

/** One connection, from the moment that it is dialled. */
class WatchSession {
  readonly #opening: Promise<ClientHttp2Session | undefined>
  readonly #told: { onRefused(): void; onClosed(): void }
  #session: ClientHttp2Session | undefined
  #streams = 0
  #streamsMax = STREAMS_MAX
  #isOver = false
  #idle: NodeJS.Timeout | undefined

  constructor(socket: Promise<TLSSocket>, told: { onRefused(): void; onClosed(): void }) {
    this.#told = told
    this.#opening = this.#open(socket)
    this.#opening.catch(() => this.destroy())
  }

  get hasRoom(): boolean {
    const { closed = false, destroyed = false } = this.#session ?? {}
    return !(this.#isOver || closed || destroyed) && this.#streams < this.#streamsMax
  }

  /** Takes a place; undefined where the server does not speak HTTP/2. @throws UpstreamError */
  take(): Promise<ClientHttp2Session | undefined> | ClientHttp2Session {
    this.#streams += 1
    clearTimeout(this.#idle)
    return this.#session ?? this.#opening
  }

  giveBack(): void {
    this.#streams -= 1
    if (this.#streams > 0 || this.#isOver) return
    this.#idle = setTimeout(() => this.destroy(), IDLE_MS)
    this.#idle.unref()
  }

  destroy(): void {
    if (this.#isOver) return
    this.#isOver = true
    clearTimeout(this.#idle)
    this.#session?.destroy()
    this.#told.onClosed()
  }

  async #open(dialled: Promise<TLSSocket>): Promise<ClientHttp2Session | undefined> {
    const socket = await dialled
    if (socket.alpnProtocol !== 'h2' || this.#isOver) {
      socket.on('error', () => {})
      socket.destroy()
      if (!this.#isOver) this.#told.onRefused()
      this.destroy()
      return undefined
    }
    const session = connect(`https://${socket.remoteAddress ?? 'kubernetes'}`, {
      createConnection: () => socket,
      settings: { enablePush: false, initialWindowSize: WINDOW_BYTES },
      maxSessionMemory: SESSION_MEMORY_MIB,
    })
    session.on('connect', () => session.setLocalWindowSize(SESSION_WINDOW_BYTES))
    session.on('remoteSettings', ({ maxConcurrentStreams = STREAMS_MAX }) => {
      this.#streamsMax = Math.min(STREAMS_MAX, maxConcurrentStreams)
    })
    // What it suffers shows in its streams.
    session.on('error', () => {})
    session.on('close', () => this.destroy())
    this.#session = session
    this.#keepAlive(session)
    return session
  }

  #keepAlive(session: ClientHttp2Session): void {
    let isAnswered = true
    const pinging = setInterval(() => {
      if (!isAnswered) session.destroy()
      if (session.destroyed) return
      isAnswered = false
      session.ping(() => {
        isAnswered = true
      })
    }, PING_MS)
    pinging.unref()
    session.once('close', () => clearInterval(pinging))
  }
}

/** Goes over HTTP/2; once over the other way when that comes to nothing before an answer has begun. */
class WatchExchange implements Exchange {
  readonly #request: OutgoingRequest
  readonly #receiver: ExchangeReceiver
  #running: Exchange | undefined
  #over = false

  constructor(
    request: OutgoingRequest,
    receiver: ExchangeReceiver,
    { session, otherwise }: { session: WatchSession; otherwise: Upstream },
  ) {
    this.#request = request
    this.#receiver = receiver
    const taken = session.take()
    if ('then' in taken) {
      taken.then(
        (opened) => this.#begin(opened, session, otherwise),
        (error: unknown) => {
          session.giveBack()
          if (!this.#over) this.#receiver.onFailure(toUpstreamError(error))
        },
      )
    } else {
      this.#begin(taken, session, otherwise)
    }
  }

  #begin(opened: ClientHttp2Session | undefined, session: WatchSession, otherwise: Upstream): void {
    if (this.#over || opened === undefined) {
      session.giveBack()
      if (!this.#over) this.#running = otherwise.send(this.#request, this.#receiver)
      return
    }
    this.#running = new StreamExchange(opened, this.#request, this.#receiver, {
      onOver: () => session.giveBack(),
      // It has no body, and reading twice changes nothing (RFC 9110, 9.2.2).
      onUnanswered: () => {
        if (!this.#over) this.#running = otherwise.send(this.#request, this.#receiver)
      },
    })
  }

  write(chunk: Buffer): boolean {
    return this.#running?.write(chunk) ?? true
  }

  end(): void {
    this.#running?.end()
  }

  pause(): void {
    this.#running?.pause()
  }

  resume(): void {
    this.#running?.resume()
  }

  abort(): void {
    this.#over = true
    this.#running?.abort()
  }
}

function toUpstreamError(error: unknown): UpstreamError {
  if (error instanceof UpstreamError) return error
  return new UpstreamError('unreachable', 'kube-apiserver cannot be reached', { cause: error })
}
