import { SpanStatusCode } from '@opentelemetry/api'
import { newId } from '@postern/ids'
import type { Positions } from '@postern/replica'
import type { Log } from '@postern/telemetry'
import { parseTraceparent, startSpan, toTraceparent } from '@postern/telemetry'
import type { AuditSubject } from '../audit/record.ts'
import type { Recorder } from '../audit/recorder.ts'
import type { FrontRequest, RequestHandler } from '../front/front-interface.ts'
import { headerValue } from '../front/header-values.ts'
import type { RequestLimiter } from '../limits/request-limits.ts'
import { answerSelfReview, type SelfReviewNeeds } from '../self-review/answer-self-review.ts'
import type { SessionActivity } from '../session/session-activity.ts'
import type { GatewaySession } from '../session/session-directory.ts'
import { type GatewaySignals, verbClass } from '../signals.ts'
import type { LiveRequests, Right } from '../streams/live-requests.ts'
import type { ClusterTunnels } from '../tunnels/cluster-tunnels.ts'
import { type Admission, type AdmissionView, type Admitted, admit } from './admit.ts'
import { auditSubject } from './audit-subject.ts'
import { clusterHead } from './cluster-head.ts'
import { type Cuttable, forward, type Outcome } from './forward.ts'
import { forwardUpgrade } from './forward-upgrade.ts'
import { answerRefusal } from './kubernetes-status.ts'
import { denied, type Refusal, refusals, tooMany } from './refusal.ts'
import { openWay, type Way } from './way-to-cluster.ts'

export type RequestNeeds = {
  readonly gateway: string
  readonly view: AdmissionView
  readonly positions: () => Positions
  readonly now: () => Date
  readonly limiter: RequestLimiter
  readonly sessionOf: (userId: string, clusterId: string) => Promise<GatewaySession>
  readonly activity: SessionActivity
  readonly spoolHasRoom: () => boolean
  readonly recorder: Recorder
  readonly tunnels: ClusterTunnels
  readonly live: LiveRequests
  readonly selfReview: SelfReviewNeeds
  readonly signals: GatewaySignals
  readonly log: Log
}

/** What a request is called and when it came: the same in every record of it. */
type Facts = { readonly auditId: string; readonly receivedAt: Date; readonly traceparent: string }

/** The way of a request: decide, record, send on, record what became of it. */
export function createRequestHandler(needs: RequestNeeds): RequestHandler {
  return (request) => {
    const receivedAt = needs.now()
    const auditId = newId('audit')
    const span = startSpan('gateway.request', {
      parent: parseTraceparent(headerValue(request.head.headers, 'traceparent')),
      kind: 'server',
      attributes: { 'postern.audit_id': auditId, 'http.request.method': request.head.method },
    })
    const facts = { auditId, receivedAt, traceparent: toTraceparent(span.trace) }
    span
      .run(() => handle(request, facts, needs))
      .catch((error: unknown) => {
        needs.log.error({ err: error, auditId }, 'request failed')
        span.span.setStatus({ code: SpanStatusCode.ERROR })
        if (request.responded) request.abort()
        else answerRefusal(request, refusals.internal, { auditId, path: '/' })
      })
      .finally(() => span.span.end())
  }
}

async function handle(request: FrontRequest, facts: Facts, needs: RequestNeeds): Promise<void> {
  const { view, positions, gateway, signals } = needs
  const { auditId, receivedAt } = facts
  const admission = admit(request.head, view, receivedAt)
  // Those that it was decided from: a request that waits is recorded when they are others already.
  const decidedFrom = positions()
  const subject = (session?: GatewaySession, refusal?: Refusal): AuditSubject =>
    auditSubject({
      auditId,
      receivedAt,
      head: request.head,
      known: admission.known,
      allowed: 'admitted' in admission,
      reason: refusal?.message,
      positions: decidedFrom,
      gateway,
      ...(session === undefined ? {} : { session }),
    })
  const outcome = 'admitted' in admission ? 'admitted' : 'refused'
  signals.admissionSeconds.observe(
    { outcome },
    (needs.now().getTime() - receivedAt.getTime()) / 1000,
  )

  if ('refusal' in admission) {
    refuse(request, admission, subject(undefined, admission.refusal), facts, needs)
    return
  }
  const { admitted } = admission
  const kind = admitted.longRunning ? 'stream' : admitted.discovery ? 'discovery' : 'short'
  const admittance = needs.limiter.admit(admitted.caller.userId, kind, receivedAt.getTime())
  if ('refused' in admittance) {
    const outcome: Outcome = { kind: 'refused', refusal: tooMany(admittance.refused) }
    close(request, outcome, subject(), { auditId, verb: verbClass(admitted.info) }, needs)
    return
  }
  try {
    await carry(request, admitted, subject, facts, needs)
  } finally {
    admittance.release()
  }
}

/** Everything between the decision and the outcome record. */
async function carry(
  request: FrontRequest,
  admitted: Admitted,
  subjectOf: (session?: GatewaySession) => AuditSubject,
  facts: Facts,
  needs: RequestNeeds,
): Promise<void> {
  const { recorder, signals, live, activity } = needs
  const { auditId } = facts
  const end = (outcome: Outcome, subject: AuditSubject) => {
    close(request, outcome, subject, { auditId, verb: verbClass(admitted.info) }, needs)
  }

  // Before anything is made for the request: what cannot be recorded does not begin.
  if (admitted.needsIntent && !needs.spoolHasRoom()) {
    end({ kind: 'refused', refusal: refusals.spoolFull }, subjectOf())
    return
  }
  const way = await openWay(admitted, needs)
  if ('refusal' in way) {
    end({ kind: 'refused', refusal: way.refusal }, subjectOf())
    return
  }
  const { session } = way
  const subject = subjectOf(session)
  activity.touch(session.id)

  if (admitted.needsIntent) {
    const stop = signals.intentSeconds.startTimer()
    try {
      await recorder.durable(subject, { stage: 'RequestReceived' })
    } catch (error) {
      needs.log.error({ err: error, auditId }, 'audit intent could not be made durable')
      end({ kind: 'refused', refusal: refusals.spoolFull }, subject)
      return
    } finally {
      stop()
    }
  } else if (admitted.longRunning) {
    recorder.note(subject, { stage: 'RequestReceived' })
  }

  const right: Right = {
    tokenSha256: admitted.caller.tokenSha256,
    userId: admitted.caller.userId,
    clusterId: admitted.cluster.id,
    sessionId: session.id,
    attributes: admitted.info,
  }
  const lapsed = request.gone.aborted ? refusals.clientGone : whyLapsed(right, needs)
  if (lapsed !== undefined) {
    end({ kind: 'refused', refusal: lapsed }, subject)
    return
  }
  // Nothing waits between that look and the registration: no revocation can come in between.
  const running = startOrFail(request, admitted, way, subject, facts, needs)
  if (running === undefined) {
    end({ kind: 'refused', refusal: refusals.internal }, subject)
    return
  }
  const ended = live.add({
    ...right,
    grace: request.head.upgrade === undefined ? 'short' : 'none',
    via: way.tunnel,
    conclude: (why) => running.conclude?.(why),
    cut(why) {
      signals.cuts.inc({ code: String(why.code) })
      running.cut(why)
    },
  })
  const closed = admitted.longRunning ? activity.streamOpened(session.id) : undefined
  try {
    end(await running.done, subject)
  } catch (error) {
    needs.log.error({ err: error, auditId }, 'request failed')
    if (request.responded) request.abort()
    // Every intent gets its outcome, also where the gateway itself failed.
    end({ kind: 'refused', refusal: refusals.internal }, subject)
  } finally {
    ended()
    closed?.()
  }
}

/** The session, the tunnel and the disk took their time: what was allowed may no longer be. */
function whyLapsed(right: Right, { view, live }: RequestNeeds): Refusal | undefined {
  if (!view.leaseValid()) return refusals.leaseLost
  const review = live.review(right)
  return review.holds ? undefined : denied(review.why)
}

function startOrFail(...order: Parameters<typeof start>): ReturnType<typeof start> | undefined {
  try {
    return start(...order)
  } catch (error) {
    const [, , , , { auditId }, { log }] = order
    log.error({ err: error, auditId }, 'request failed before it was sent')
    return undefined
  }
}

/** Puts the request on its way; from here on it may have been carried out. */
function start(
  request: FrontRequest,
  admitted: Admitted,
  { session, tunnel }: Way,
  subject: AuditSubject,
  facts: Facts,
  needs: RequestNeeds,
): Cuttable & { done: Promise<Outcome> } {
  const { cluster, info, longRunning } = admitted
  const { auditId, traceparent } = facts
  const sessionId = session.id
  const { target } = admitted
  const head = () => clusterHead(request.head, { target, sessionId, auditId, traceparent })
  const onStarted = (code: number) =>
    needs.recorder.note(subject, { stage: 'ResponseStarted', response: { code } })
  if (request.head.upgrade !== undefined) {
    const { tunnels } = needs
    const names = { clusterId: cluster.id, clusterName: cluster.name }
    return forwardUpgrade({ request, head: head(), tunnels, ...names, onStarted })
  }
  if (admitted.kind === 'self-review') {
    const order = { request, admitted, sessionId, tunnel, auditId, traceparent }
    return answerSelfReview(order, needs.selfReview)
  }
  const isWatch = info.verb === 'watch'
  const clusterName = cluster.name
  const onlyReads = isReadOnly(request.head.method, info)
  const how = { clusterName, longRunning, isWatch, onlyReads, onStarted }
  return forward({ request, head: head(), tunnel, ...how })
}

/** Whatever a proxied server makes of a GET is unknown here. */
function isReadOnly(method: string, info: Admitted['info']): boolean {
  const isProxied = info.verb === 'proxy' || info.subresource === 'proxy'
  return (method === 'GET' || method === 'HEAD') && !isProxied
}

function refuse(
  request: FrontRequest,
  { refusal, known }: Extract<Admission, { refusal: Refusal }>,
  subject: AuditSubject,
  { auditId }: Facts,
  needs: RequestNeeds,
): void {
  const stage = responseStage({ kind: 'refused', refusal })
  // What needs no valid token can be sent by anybody, as often as they like.
  if (known.caller === undefined) needs.recorder.noteAnonymous(subject, stage)
  else needs.recorder.note(subject, stage)
  needs.signals.requests.inc({ verb: verbClass(known.info), code: String(refusal.code) })
  answerRefusal(request, refusal, { auditId, path: pathOf(request) })
}

/** Writes the outcome, and answers where nobody has answered yet. */
function close(
  request: FrontRequest,
  outcome: Outcome,
  subject: AuditSubject,
  facts: { auditId: string; verb: string },
  needs: RequestNeeds,
): void {
  const code = outcome.kind === 'refused' ? outcome.refusal.code : outcome.code
  needs.recorder.note(subject, responseStage(outcome))
  needs.signals.requests.inc({ verb: facts.verb, code: String(code) })
  if (outcome.kind === 'refused' && !request.responded) {
    answerRefusal(request, outcome.refusal, { auditId: facts.auditId, path: pathOf(request) })
  }
}

function responseStage(outcome: Outcome) {
  const stage = 'ResponseComplete' as const
  if (outcome.kind === 'refused') {
    const { code, message } = outcome.refusal
    return { stage, response: { code, message } }
  }
  const { code, bytes, end, cut, commandStatus } = outcome
  return {
    stage,
    response: { code, ...(cut === undefined ? {} : { message: cut.message }) },
    annotations: {
      bytes: String(bytes),
      end,
      'cut-code': cut === undefined ? undefined : String(cut.code),
      'command-status': commandStatus,
    },
  }
}

/** The path in the cluster, as far as the form of an answer depends on it. */
function pathOf({ head }: FrontRequest): string {
  return head.target.replace(/^\/clusters\/[^/?]*/, '').replace(/\?.*$/s, '')
}
