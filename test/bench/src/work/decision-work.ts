import { createDecider, parseRequestInfo } from '@postern/access'
import { admit } from '../../../../services/gateway/src/request/admit.ts'
import { authenticate } from '../../../../services/gateway/src/request/authenticate.ts'
import { gatewayView, PATH } from './gateway-view.ts'
import { microsEach } from './repeat.ts'

export type DecisionWork = {
  /** Whose token it is. */
  readonly tokenLookUpMicros: number
  /** Whether that user may do that there, what was compiled for him being known. */
  readonly decisionMicros: number
  /** The first decision for a user on a cluster since something changed. */
  readonly firstDecisionMicros: number
  /** All that happens to a head until it is admitted, look-up and decision included. */
  readonly admissionMicros: number
}

/** What a request costs the gateway until it is decided: its own functions. */
export function measureDecision(now: Date): DecisionWork {
  const { view, decider, snapshot, headAt, requesterAt } = gatewayView(now)
  const info = parseRequestInfo('GET', PATH)
  if (!('admitted' in admit(headAt(0), view, now))) throw new Error('the request is not admitted')
  return {
    tokenLookUpMicros: microsEach((n) => authenticate(headAt(n), view, now)),
    decisionMicros: microsEach((n) => decider.decide(snapshot, requesterAt(n), info, now)),
    firstDecisionMicros: microsEach((n) =>
      createDecider().decide(snapshot, requesterAt(n), info, now),
    ),
    admissionMicros: microsEach((n) => admit(headAt(n), view, now)),
  }
}
