import {
  type AgentError,
  agentErrorHead,
  encodeResponseHead,
  HeadError,
  type ResponseHead,
} from '@postern/kube-http'
import type { MuxStream, StreamReceiver } from '@postern/mux'
import { parseTraceparent, startSpan, toTraceparent } from '@postern/telemetry'
import type { AccountToken } from '../account/cluster-accounts.ts'
import type { Exchange, ExchangeReceiver } from '../upstream/exchange.ts'
import type { UpstreamError } from '../upstream/upstream-error.ts'
import { type GatewayHead, readGatewayHead, toClusterRequest } from './cluster-request.ts'
import type { ForwardNeeds } from './forward-needs.ts'
import type { LiveStream } from './live-streams.ts'

/** As kube-apiserver reads it, but for what is proxied further: any first value but 0 and false. */
const WATCH = /^[^?]*\?(?:.*&)?watch(?:=(?!(?:0|false)(?:&|$))|&|$)/
const PROXY = '/proxy/'
const NOBODY: StreamReceiver = { onData() {}, onEnd() {}, onClose() {} }

/**
 * Carries one request of a gateway to kube-apiserver and the answer back, each under the pressure of
 * the other side. An end is passed on as an end, a break as a break, whichever side it came from.
 */
export function forwardStream(stream: MuxStream, headBytes: Uint8Array, needs: ForwardNeeds): void {
  const { keeper, log } = needs
  const head = readGatewayHead(headBytes)
  if (head === undefined || head.upgrade !== undefined) {
    log.warn({ reason: 'head' }, 'request refused')
    refuse(stream, 'head-refused', needs)
    return
  }
  const token = keeper.token(head.sessionId)
  if (token !== undefined) {
    start(stream, head, token, needs)
    return
  }
  const soon = keeper.tokenSoon(head.sessionId).then((made) => {
    if (stream.closed) return
    if (typeof made === 'string') refuse(stream, made, needs)
    else start(stream, head, made, needs)
  })
  soon.catch((error: unknown) => {
    log.error({ err: error }, 'request failed')
    stream.reset('failed', 'the agent failed')
  })
}

function start(
  stream: MuxStream,
  head: GatewayHead,
  token: AccountToken,
  needs: ForwardNeeds,
): void {
  try {
    new Forwarding(stream, head, needs).send(token)
  } catch (error) {
    if (!(error instanceof HeadError)) throw error
    refuse(stream, 'head-refused', needs)
  }
}

class Forwarding implements StreamReceiver, ExchangeReceiver, LiveStream {
  readonly #stream: MuxStream
  readonly #head: GatewayHead
  readonly #needs: ForwardNeeds
  #exchange: Exchange | undefined
  #span: ReturnType<typeof startSpan>['span'] | undefined
  #seat: number | undefined
  #done = false

  constructor(stream: MuxStream, head: GatewayHead, needs: ForwardNeeds) {
    this.#stream = stream
    this.#head = head
    this.#needs = needs
  }

  get sessionId(): string {
    return this.#head.sessionId
  }

  /** @throws HeadError when nothing could be sent */
  send(token: AccountToken): void {
    const { credentials, live, signals, upstream, watches } = this.#needs
    const parent = parseTraceparent(this.#head.traceparent)
    const { span, trace } = startSpan('agent.request', { kind: 'client', parent })
    this.#span = span
    try {
      const request = toClusterRequest(this.#head, {
        credential: credentials(token),
        traceparent: toTraceparent(trace),
      })
      this.#seat = live.add(this)
      signals.requests.inc()
      this.#stream.pause()
      // The exchange may be over before this call has ended.
      const exchange = (isWatch(this.#head) ? watches : upstream).send(request, this)
      if (!this.#done) this.#exchange = exchange
    } catch (error) {
      this.#finish()
      throw error
    }
    this.#stream.receive(this)
  }

  /** The session has ended. */
  cut(): void {
    this.#abort('the session has ended')
  }

  // What kube-apiserver answers.

  onReady(exchange: Exchange): void {
    this.#exchange = exchange
    this.#stream.resume()
  }

  onResponse(head: ResponseHead): void {
    if (head.status === 401) this.#needs.keeper.foundBroken(this.sessionId)
    try {
      this.#stream.sendHead(encodeResponseHead(head))
    } catch (error) {
      if (!(error instanceof HeadError)) throw error
      this.#abort('the answer of kube-apiserver cannot be carried')
    }
  }

  onResponseBytes(chunk: Buffer): void {
    this.#needs.signals.responseBytes.inc(chunk.length)
    if (!this.#stream.write(chunk)) this.#exchange?.pause()
  }

  onResponseEnd(): void {
    this.#finish()
    this.#stream.end()
    // Answered before the whole request was read: the rest of it goes nowhere.
    this.#stream.discard()
  }

  onRequestDrain(): void {
    this.#stream.resume()
  }

  onFailure(error: UpstreamError): void {
    const { sessionId, auditId } = this.#head
    this.#needs.log.debug({ err: error, sessionId, auditId }, 'request to the cluster broke')
    if (error.kind === 'lost') {
      this.#abort(error.message)
    } else {
      this.#finish()
      answer(
        this.#stream,
        error.kind === 'full' ? 'overloaded' : 'upstream-unreachable',
        this.#needs,
      )
    }
  }

  // What the gateway sends.

  onData(chunk: Buffer): void {
    if (this.#exchange?.write(chunk) === false) this.#stream.pause()
  }

  onEnd(): void {
    this.#exchange?.end()
  }

  onDrain(): void {
    this.#exchange?.resume()
  }

  onClose(error: Error | undefined): void {
    // The client is gone: kube-apiserver must not go on, for a watch would do so for an hour.
    if (error !== undefined) this.#exchange?.abort()
    this.#finish()
  }

  #abort(text: string): void {
    this.#exchange?.abort()
    this.#finish()
    this.#stream.reset('failed', text)
  }

  #finish(): void {
    if (this.#done) return
    this.#done = true
    this.#exchange = undefined
    this.#span?.end()
    if (this.#seat !== undefined) this.#needs.live.remove(this.#seat, this)
  }
}

/** It only decides which connection it takes. */
function isWatch({ method, target }: GatewayHead): boolean {
  return method === 'GET' && WATCH.test(target) && !target.includes(PROXY)
}

/** Answers for the cluster a stream that nobody has begun to read. Nothing was sent there. */
function refuse(stream: MuxStream, error: AgentError, needs: ForwardNeeds): void {
  stream.receive(NOBODY)
  answer(stream, error, needs)
}

function answer(stream: MuxStream, error: AgentError, { signals }: ForwardNeeds): void {
  signals.refused.inc({ reason: error })
  if (stream.closed) return
  stream.sendHead(encodeResponseHead(agentErrorHead(error)))
  stream.end()
  stream.discard()
}
