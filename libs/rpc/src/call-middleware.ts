import { rejections } from '@postern/errors'
import { sha256, toPart } from '@postern/pki'
import { type Log, type Metrics, parseTraceparent, startSpan } from '@postern/telemetry'
import { type CallContext, ServerError, type ServerMiddleware, Status } from 'nice-grpc-common'
import { type Access, type AccessTable, admit, admitUser } from './access.ts'
import { ANYONE, type Call, createCall, type EndUser, type Peer } from './call.ts'
import { PEER_STAMP } from './peer-stamp.ts'
import { checkText } from './request-text.ts'
import type { ClientCertificates } from './server-credentials.ts'
import { rpcServerSeconds } from './signals.ts'
import { toStatus } from './status.ts'

/** Whose token it is, by its SHA-256; `undefined` when it is nobody's now. */
export type AuthenticateUser = (tokenSha256: Buffer) => Promise<EndUser | undefined>

/** Metadata in which the console sends the end user's token. */
export const USER_TOKEN = 'postern-user-token'

export type CallMiddlewareNeeds = {
  readonly access: AccessTable
  readonly trustDomain: string
  readonly clientCertificates: ClientCertificates
  readonly authenticateUser: AuthenticateUser
  readonly log: Log
  readonly metrics: Metrics
  /** Aborted when the server stops: streams end then. */
  readonly stopping: AbortSignal
}

// HTTP/2 joins repeated metadata with commas, which no token of ours has.
const TOKEN = /^[A-Za-z0-9_-]{1,512}$/

const rejected = rejections({
  UNKNOWN_PEER: ['unauthenticated', 'the client certificate names no part of this installation'],
  MALFORMED_TOKEN: [
    'unauthenticated',
    'the call carries more than one user token, or a malformed one',
  ],
})

/** Around every call of Postern's own services: who calls, may they, how long it took, what came out. */
export function createCallMiddleware(needs: CallMiddlewareNeeds): ServerMiddleware<{ call: Call }> {
  const seconds = rpcServerSeconds(needs.metrics)

  return async function* callMiddleware(call, context) {
    const { path } = call.method
    const rpc = path.slice(1)
    const stopTimer = seconds.startTimer({ rpc })
    const span = startSpan(rpc, { kind: 'server', parent: traceOf(context) })
    let code = Status.CANCELLED
    const signal = call.responseStream
      ? AbortSignal.any([context.signal, needs.stopping])
      : context.signal
    try {
      const admitted = await span.run(() => admitCall(needs, path, context, signal))
      if (!call.requestStream) checkText(call.request)
      const replies = call.next(call.request, { ...context, signal, call: admitted })
      const result = yield* inContext(replies, span.run)
      code = Status.OK
      return result
    } catch (error) {
      const thrown = span.run(() => toServerError(needs, rpc, context, error))
      code = thrown.code
      throw thrown
    } finally {
      stopTimer({ code: Status[code] })
      span.span.setAttribute('rpc.grpc.status_code', code)
      span.span.end()
    }
  }
}

/** Around health and reflection, which belong to no service of ours: any part of Postern may call. */
export function createBuiltInMiddleware(needs: {
  trustDomain: string
  stopping: AbortSignal
}): ServerMiddleware {
  return async function* builtInMiddleware(call, context) {
    if (peerOf(needs.trustDomain, context) === undefined) {
      throw new ServerError(Status.UNAUTHENTICATED, rejected('UNKNOWN_PEER').message)
    }
    const signal = AbortSignal.any([context.signal, needs.stopping])
    return yield* call.next(call.request, { ...context, signal })
  }
}

async function admitCall(
  needs: CallMiddlewareNeeds,
  path: string,
  context: CallContext,
  signal: AbortSignal,
): Promise<Call> {
  const access = accessIn(needs.access, path)
  const peer = needs.clientCertificates === 'none' ? ANYONE : peerOf(needs.trustDomain, context)
  if (peer === undefined) throw rejected('UNKNOWN_PEER')
  const token = tokenOf(context)
  const admission = admit(access, peer, token !== undefined)
  if (admission.type === 'as-peer' || token === undefined) {
    return createCall({ peer, path, signal })
  }
  const user = admitUser(access, await needs.authenticateUser(sha256(token)))
  return createCall({ peer, user, path, signal })
}

function toServerError(
  needs: CallMiddlewareNeeds,
  rpc: string,
  context: CallContext,
  error: unknown,
): ServerError {
  const status = toStatus(error)
  for (const [name, value] of Object.entries(status.trailers)) context.trailer.set(name, value)
  if (status.cause !== undefined) {
    needs.log.error({ err: status.cause, rpc, ...status.trailers }, 'rpc failed')
  }
  if (status.code === Status.CANCELLED && needs.stopping.aborted) {
    return new ServerError(Status.UNAVAILABLE, 'the server is stopping, connect again')
  }
  return new ServerError(status.code, status.message)
}

// biome-ignore lint/suspicious/noConfusingVoidType: nice-grpc's own type, for unary and streaming calls
type Replies<Response> = AsyncGenerator<Response, Response | void, undefined>

/** Runs each step of the handler inside the span, whoever pulls the answers. */
async function* inContext<Response>(
  replies: Replies<Response>,
  run: <T>(work: () => T) => T,
): Replies<Response> {
  let isDone = false
  try {
    for (;;) {
      const step = await run(() => replies.next())
      if (step.done === true) {
        isDone = true
        return step.value
      }
      yield step.value
    }
  } finally {
    if (!isDone) await replies.return()
  }
}

function accessIn(table: AccessTable, path: string): Access {
  const access = table.get(path)
  if (access === undefined) throw new Error(`no access is known for ${path}`)
  return access
}

function peerOf(trustDomain: string, context: CallContext): Peer | undefined {
  const stamp = context.metadata.get(PEER_STAMP)
  return typeof stamp === 'string' ? toPart(trustDomain, stamp) : undefined
}

function tokenOf(context: CallContext): string | undefined {
  const [token, ...more] = context.metadata.getAll(USER_TOKEN)
  if (token === undefined) return undefined
  if (typeof token !== 'string' || more.length > 0 || !TOKEN.test(token)) {
    throw rejected('MALFORMED_TOKEN')
  }
  return token
}

function traceOf(context: CallContext) {
  const traceparent = context.metadata.get('traceparent')
  return parseTraceparent(typeof traceparent === 'string' ? traceparent : undefined)
}
