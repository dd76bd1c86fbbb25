import type { GatewaySession } from '../session/session-directory.ts'
import type { GatewaySignals } from '../signals.ts'
import type { Cut, LiveRequest, Right } from '../streams/live-requests.ts'
import type { Admitted } from './admit.ts'
import type { Cuttable } from './outcome.ts'

/** What a revocation finds of a request, and can do with it. */
export class RunningRequest implements LiveRequest {
  readonly right: Right
  readonly grace: LiveRequest['grace']
  readonly via: unknown
  readonly #carried: Cuttable
  readonly #cuts: GatewaySignals['cuts']

  constructor(order: {
    right: Right
    grace: LiveRequest['grace']
    via: unknown
    carried: Cuttable
    cuts: GatewaySignals['cuts']
  }) {
    this.right = order.right
    this.grace = order.grace
    this.via = order.via
    this.#carried = order.carried
    this.#cuts = order.cuts
  }

  cut(why: Cut): void {
    this.#cuts.inc({ code: String(why.code) })
    this.#carried.cut(why)
  }

  conclude(why: Cut): void {
    this.#carried.conclude?.(why)
  }
}

export function rightOf({ caller, cluster, info }: Admitted, session: GatewaySession): Right {
  return {
    tokenSha256: caller.tokenSha256,
    userId: caller.userId,
    clusterId: cluster.id,
    sessionId: session.id,
    attributes: info,
  }
}
