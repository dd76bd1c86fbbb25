import type { CompiledAccess, Decider } from '@postern/access'
import { callerOf, type TokenView } from '../request/authenticate.ts'
import type { Review, Right } from './live-requests.ts'

/** What a right is looked at with. Pure given these. */
export type RightsView = TokenView & {
  isSessionOver(sessionId: string, at: Date): boolean
  readonly decider: Decider
  nextChangeAt(compiled: CompiledAccess, at: Date): Date | undefined
}

/** Decides about a request as if it came in now: one mechanism for every way a right ends. */
export function reviewRight(right: Right, view: RightsView, at: Date): Review {
  const caller = callerOf(right.tokenSha256, view, at)
  if ('refusal' in caller) return ended(caller.refusal.message)
  if (caller.userId !== right.userId) return ended('the token belongs to someone else now')
  if (view.isSessionOver(right.sessionId, at)) return ended('your session on the cluster has ended')
  const snapshot = view.snapshot()
  const requester = { userId: right.userId, clusterId: right.clusterId }
  const decision = view.decider.decide(snapshot, requester, right.attributes, at)
  if (decision.outcome === 'deny') return ended(decision.reason)
  const change = view.nextChangeAt(view.decider.compiled(snapshot, requester), at)
  const untilMs = Math.min(caller.tokenExpiresAtMs, change?.getTime() ?? Number.POSITIVE_INFINITY)
  return { holds: true, untilMs }
}

function ended(why: string): Review {
  return { holds: false, why }
}
