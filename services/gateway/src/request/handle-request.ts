import { SpanStatusCode } from '@opentelemetry/api'
import { newId } from '@postern/ids'
import type { Positions } from '@postern/replica'
import type { Log } from '@postern/telemetry'
import { parseTraceparent, startSpan, toTraceparent } from '@postern/telemetry'
import type { AuditSubject } from '../audit/record.ts'
import type { Recorder } from '../audit/recorder.ts'
import type { FrontRequest, RequestHandler } from '../front/front-interface.ts'
import type { RequestLimiter } from '../limits/request-limits.ts'
import { answerSelfReview, type SelfReviewNeeds } from '../self-review/answer-self-review.ts'
import type { SessionActivity } from '../session/session-activity.ts'
import type { GatewaySession } from '../session/session-directory.ts'
import { type GatewaySignals, verbClass } from '../signals.ts'
import type { LiveRequests, Right } from '../streams/live-requests.ts'
import type { ClusterTunnels } from '../tunnels/cluster-tunnels.ts'
import { type Admission, type AdmissionView, type Admitted, admit } from './admit.ts'
import { AnswerWaits } from './answer-waits.ts'
import { auditSubject } from './audit-subject.ts'
import { clusterHead } from './cluster-head.ts'
import { type ForwardListener, forward } from './forward.ts'
import { forwardUpgrade } from './forward-upgrade.ts'
import { answerRefusal } from './kubernetes-status.ts'
import { type Cuttable, lastStage, type Outcome, refused } from './outcome.ts'
import { denied, type Refusal, refusals, tooMany } from './refusal.ts'
import { RunningRequest, rightOf } from './running-request.ts'
import type { SecondLook } from './second-look.ts'
import { openWay, type SessionsAtHand, type Way, wayAtHand } from './way-to-cluster.ts'

export type RequestNeeds = {
  readonly gateway: string
  readonly view: AdmissionView
  readonly positions: () => Positions
  readonly secondLook: SecondLook
  readonly now: () => Date
  readonly limiter: RequestLimiter
  readonly sessions: SessionsAtHand
  readonly activity: SessionActivity
  readonly spoolHasRoom: () => boolean
  readonly recorder: Recorder
  readonly tunnels: ClusterTunnels
  readonly live: LiveRequests
  readonly selfReview: SelfReviewNeeds
  readonly signals: GatewaySignals
  readonly log: Log
}

/** The way of a request: decide, record, send on, record what became of it. */
export function createRequestHandler(needs: RequestNeeds): RequestHandler {
  const waits = new AnswerWaits()
  return (request) => new RequestRun(request, needs, waits).run()
}

/** Each step calls the next. What is at hand is not waited for: most requests are on their way in one call. */
class RequestRun implements ForwardListener {
  readonly #request: FrontRequest
  readonly #needs: RequestNeeds
  readonly #waits: AnswerWaits
  readonly #receivedAt: Date
  readonly #auditId = newId('audit')
  readonly #step: ReturnType<typeof startSpan>
  #admission: Admission | undefined
  /** What it was decided from: a request that waits is recorded when that is other already. */
  #positions: Positions | undefined
  #session: GatewaySession | undefined
  // What ends with it, whatever became of it.
  #release: (() => void) | undefined
  #running: RunningRequest | undefined
  #seat = 0
  #streamClosed: (() => void) | undefined
  #hasLookedAgain = false
  #isOver = false

  constructor(request: FrontRequest, needs: RequestNeeds, waits: AnswerWaits) {
    this.#request = request
    this.#needs = needs
    this.#waits = waits
    this.#receivedAt = needs.now()
    this.#step = startSpan('gateway.request', {
      parent: parseTraceparent(request.head.lines.traceparent),
      kind: 'server',
      attributes: { 'postern.audit_id': this.#auditId, 'http.request.method': request.head.method },
    })
  }

  run(): void {
    this.#orFail(() => this.#decide(this.#receivedAt))
  }

  #decide(at: Date): void {
    const { view, positions, signals, limiter, spoolHasRoom } = this.#needs
    const begunAtMs = performance.now()
    const admission = admit(this.#request.head, view, at)
    this.#admission = admission
    this.#positions = positions()
    signals.admissionSeconds.observe((performance.now() - begunAtMs) / 1000)
    if ('refusal' in admission) {
      if (!this.#looksAgain(admission.refusal)) this.#end(refused(admission.refusal))
      return
    }
    const { admitted } = admission
    const kind = admitted.longRunning ? 'stream' : admitted.discovery ? 'discovery' : 'short'
    const admittance = limiter.admit(admitted.caller.userId, kind, at.getTime())
    if ('refused' in admittance) {
      this.#end(refused(tooMany(admittance.refused)))
      return
    }
    this.#release = admittance.release
    // Before anything is made for the request: what cannot be recorded does not begin.
    if (admitted.needsIntent && !spoolHasRoom()) {
      this.#end(refused(refusals.spoolFull))
      return
    }
    const way = admitted.needsIntent ? undefined : wayAtHand(admitted, this.#needs, at)
    if (way !== undefined) {
      this.#session = way.session
      this.#begin(admitted, way, at)
    } else {
      const prepared = this.#step.run(() => this.#prepare(admitted))
      prepared.catch((error: unknown) => this.#fail(error))
    }
  }

  /** Whether it is decided once more, when all that was committed before it came is known. */
  #looksAgain(refusal: Refusal): boolean {
    if (refusal !== refusals.unknownToken || this.#hasLookedAgain) return false
    const { secondLook, now } = this.#needs
    const known = secondLook.wait()
    this.#hasLookedAgain = true
    known?.then(() => this.#orFail(() => this.#decide(now()))).catch((e: unknown) => this.#fail(e))
    return known !== undefined
  }

  /** Waits for what the request needs: a session, a tunnel, its intent on the disk. */
  async #prepare(admitted: Admitted): Promise<void> {
    const { recorder, signals, log } = this.#needs
    const way = await openWay(admitted, this.#needs)
    if ('refusal' in way) {
      this.#end(refused(way.refusal))
      return
    }
    this.#session = way.session
    if (admitted.needsIntent) {
      const stop = signals.intentSeconds.startTimer()
      try {
        await recorder.durable(this.#subject(), { stage: 'RequestReceived' })
      } catch (error) {
        log.error({ err: error, auditId: this.#auditId }, 'audit intent could not be made durable')
        this.#end(refused(refusals.spoolFull))
        return
      } finally {
        stop()
      }
    }
    const at = this.#needs.now()
    const lapsed = this.#request.gone
      ? refusals.clientGone
      : whyLapsed(rightOf(admitted, way.session), this.#needs, at)
    if (lapsed !== undefined) this.#end(refused(lapsed))
    else this.#orFail(() => this.#begin(admitted, way, at))
  }

  /** Nothing waits between the last look at the right and here: no revocation can come in between. */
  #begin(admitted: Admitted, way: Way, at: Date): void {
    const { activity, live, recorder, signals } = this.#needs
    const { session, tunnel } = way
    activity.touch(session.id, at)
    if (admitted.longRunning && !admitted.needsIntent) {
      recorder.note(this.#subject(), { stage: 'RequestReceived' })
    }
    const carried = this.#start(admitted, way)
    if (this.#isOver) return
    const grace = this.#request.head.upgrade === undefined ? 'short' : 'none'
    const right = rightOf(admitted, session)
    const running = new RunningRequest({ right, grace, via: tunnel, carried, cuts: signals.cuts })
    const seat = live.add(running, at)
    // Its right was looked at once more, and may have been over.
    if (this.#isOver) return
    this.#running = running
    this.#seat = seat
    if (admitted.longRunning) this.#streamClosed = activity.streamOpened(session.id, at)
  }

  /** Puts the request on its way; from here on it may have been carried out. */
  #start(admitted: Admitted, { session, tunnel }: Way): Cuttable {
    const { cluster, info, longRunning, target } = admitted
    const { tunnels, selfReview } = this.#needs
    const request = this.#request
    const auditId = this.#auditId
    const traceparent = toTraceparent(this.#step.trace)
    const sessionId = session.id
    const isUpgrade = request.head.upgrade !== undefined
    if (admitted.kind === 'self-review' && !isUpgrade) {
      const order = { request, admitted, sessionId, tunnel, auditId, traceparent }
      return this.#awaited(answerSelfReview(order, selfReview))
    }
    const head = clusterHead(request.head, { target, sessionId, auditId, traceparent })
    if (isUpgrade) {
      const names = { clusterId: cluster.id, clusterName: cluster.name }
      const onStarted = (code: number) => this.onStarted(code)
      return this.#awaited(forwardUpgrade({ request, head, tunnels, ...names, onStarted }))
    }
    const order = {
      request,
      tunnel,
      clusterName: cluster.name,
      longRunning,
      isWatch: info.verb === 'watch',
      onlyReads: isReadOnly(request.head.method, info),
      waits: this.#waits,
    }
    return forward(head, order, this)
  }

  onStarted(code: number): void {
    this.#needs.recorder.note(this.#subject(), { stage: 'ResponseStarted', response: { code } })
  }

  onOutcome(outcome: Outcome): void {
    this.#orFail(() => this.#end(outcome))
  }

  onFailure(error: unknown): void {
    this.#fail(error)
  }

  #awaited(running: Cuttable & { done: Promise<Outcome> }): Cuttable {
    running.done.then((outcome) => this.#end(outcome)).catch((error: unknown) => this.#fail(error))
    return running
  }

  /** Writes the outcome, and answers where nobody has answered yet. */
  #end(outcome: Outcome): void {
    if (this.#isOver) return
    this.#isOver = true
    const { live, recorder, signals } = this.#needs
    this.#release?.()
    if (this.#running !== undefined) live.remove(this.#seat, this.#running)
    this.#streamClosed?.()
    this.#step.span.end()
    const refusal = outcome.kind === 'refused' ? outcome.refusal : undefined
    const code = outcome.kind === 'refused' ? outcome.refusal.code : outcome.code
    const known = this.#admission?.known ?? {}
    const subject = this.#subject(refusal)
    // What needs no valid token can be sent by anybody, as often as they like.
    if (known.caller === undefined) recorder.noteAnonymous(subject, lastStage(outcome))
    else recorder.note(subject, lastStage(outcome))
    signals.requests.add(verbClass(known.info), code)
    if (refusal !== undefined && !this.#request.responded) this.#refuse(refusal)
  }

  #refuse(refusal: Refusal): void {
    const facts = { auditId: this.#auditId, path: pathOf(this.#request) }
    answerRefusal(this.#request, refusal, facts)
  }

  #orFail(step: () => void): void {
    try {
      step()
    } catch (error) {
      this.#fail(error)
    }
  }

  /** Every intent gets its outcome, also where the gateway itself failed. */
  #fail(error: unknown): void {
    this.#needs.log.error({ err: error, auditId: this.#auditId }, 'request failed')
    this.#step.span.setStatus({ code: SpanStatusCode.ERROR })
    if (this.#request.responded) this.#request.abort()
    if (!this.#isOver) this.#end(refused(refusals.internal))
    else if (!this.#request.responded) this.#refuse(refusals.internal)
  }

  #subject(refusal?: Refusal): AuditSubject {
    return auditSubject({
      auditId: this.#auditId,
      receivedAt: this.#receivedAt,
      head: this.#request.head,
      known: this.#admission?.known ?? {},
      allowed: this.#admission !== undefined && 'admitted' in this.#admission,
      reason: refusal?.message,
      positions: this.#positions ?? this.#needs.positions(),
      gateway: this.#needs.gateway,
      session: this.#session,
    })
  }
}

/** The session, the tunnel and the disk took their time: what was allowed may no longer be. */
function whyLapsed(right: Right, { view, live }: RequestNeeds, at: Date): Refusal | undefined {
  if (!view.leaseValid()) return refusals.leaseLost
  const review = live.review(right, at)
  return review.holds ? undefined : denied(review.why)
}

/** Whatever a proxied server makes of a GET is unknown here. */
function isReadOnly(method: string, info: Admitted['info']): boolean {
  const isProxied = info.verb === 'proxy' || info.subresource === 'proxy'
  return (method === 'GET' || method === 'HEAD') && !isProxied
}

/** The path in the cluster, as far as the form of an answer depends on it. */
function pathOf({ head }: FrontRequest): string {
  return head.target.replace(/^\/clusters\/[^/?]*/, '').replace(/\?.*$/s, '')
}
