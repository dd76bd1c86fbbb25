import {
  type AgentError,
  agentErrorHead,
  decodeRequestHead,
  encodeResponseHead,
  endToEndHeaders,
  HeadError,
  type RequestHead,
  type ResponseHead,
} from '@postern/kube-http'
import type { MuxStream } from '@postern/mux'
import { parseTraceparent, startSpan, toTraceparent } from '@postern/telemetry'
import { UpstreamError } from '../upstream/upstream-error.ts'
import type { Exchange } from '../upstream/upstream-pool.ts'
import { toClusterRequest } from './cluster-request.ts'
import type { ForwardNeeds } from './forward-needs.ts'

/**
 * Carries one request of a gateway to kube-apiserver and the answer back, each under the pressure of
 * the other side. An end is passed on as an end, a break as a break, whichever side it came from.
 */
export async function forwardStream(
  stream: MuxStream,
  headBytes: Uint8Array,
  needs: ForwardNeeds,
): Promise<void> {
  const { keeper, log, signals } = needs
  const head = readHead(headBytes)
  if (head === undefined || head.upgrade !== undefined) {
    log.warn({ reason: 'head' }, 'request refused')
    return refuse(stream, 'head-refused', needs)
  }
  const { sessionId } = head
  const token = keeper.token(sessionId) ?? (await keeper.tokenSoon(sessionId))
  if (typeof token === 'string') return refuse(stream, token, needs)

  const parent = parseTraceparent(head.traceparent)
  const span = startSpan('agent.request', { kind: 'client', parent })
  const traceparent = toTraceparent(span.trace)
  signals.requests.inc()
  let exchange: Exchange | undefined
  let answered = false
  let done = false

  const finish = () => {
    if (done) return
    done = true
    span.span.end()
    removeLive()
  }
  const abort = (text: string) => {
    exchange?.abort()
    stream.reset('failed', text)
    finish()
  }
  const removeLive = needs.live.add(sessionId, () => abort('the session has ended'))

  try {
    const request = toClusterRequest(head, { host: needs.host, token: token.value, traceparent })
    exchange = await needs.upstream.open(request, {
      onHead(received) {
        if (received.status === 401) keeper.foundBroken(sessionId)
        answered = sendHead(stream, received)
      },
      onBody(chunk) {
        signals.responseBytes.inc(chunk.length)
        if (!stream.write(chunk)) exchange?.pause()
      },
      onDrain: () => stream.resume(),
      onEnd() {
        if (!answered) return abort('the answer of kube-apiserver cannot be carried')
        stream.end()
        // Answered before the whole request was read: the rest of it goes nowhere.
        stream.discard()
        finish()
      },
      onError(error) {
        log.debug({ err: error, sessionId, auditId: head.auditId }, 'request to the cluster broke')
        abort(error.message)
      },
    })
  } catch (error) {
    finish()
    return refuse(stream, reasonOf(error), needs)
  }
  // The session may have ended while the connection was made.
  if (done) return exchange.abort()
  receiveBody(stream, exchange, finish)
}

function receiveBody(stream: MuxStream, exchange: Exchange, finish: () => void): void {
  stream.receive({
    onData(chunk) {
      if (!exchange.write(chunk)) stream.pause()
    },
    onEnd: () => exchange.end(),
    onDrain: () => exchange.resume(),
    onClose(error) {
      // The client is gone: kube-apiserver must not go on, for a watch would do so for an hour.
      if (error !== undefined) exchange.abort()
      finish()
    },
  })
}

/** Whether it could be sent. */
function sendHead(stream: MuxStream, { status, headers }: ResponseHead): boolean {
  try {
    stream.sendHead(encodeResponseHead({ status, headers: endToEndHeaders(headers) }))
    return true
  } catch (error) {
    if (error instanceof HeadError) return false
    throw error
  }
}

/** Answers for the cluster. Nothing was sent there. */
function refuse(stream: MuxStream, error: AgentError, { signals }: ForwardNeeds): void {
  signals.refused.inc({ reason: error })
  if (stream.closed) return
  stream.receive({ onData: () => {}, onEnd: () => {}, onClose: () => {} })
  stream.sendHead(encodeResponseHead(agentErrorHead(error)))
  stream.end()
  stream.discard()
}

function readHead(bytes: Uint8Array): RequestHead | undefined {
  try {
    return decodeRequestHead(bytes)
  } catch (error) {
    if (error instanceof HeadError) return undefined
    throw error
  }
}

function reasonOf(error: unknown): AgentError {
  if (error instanceof HeadError) return 'head-refused'
  if (!(error instanceof UpstreamError)) throw error
  return error.kind === 'full' ? 'overloaded' : 'upstream-unreachable'
}
