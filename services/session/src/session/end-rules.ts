import { END_REASONS, type EndReason } from './session.ts'

/** What an open session is judged by. */
export type SessionFacts = {
  readonly openedAt: Date
  readonly expiresAt: Date
  /** `undefined` while no gateway has reported on it. */
  readonly lastActiveAt: Date | undefined
  readonly user: 'enabled' | 'disabled'
  readonly clusterExists: boolean
  /** Whether any grant gives the user anything on the cluster now. */
  readonly hasAccess: boolean
}

export type IdleRule = {
  readonly idleSecondsMax: number
  /** Since when gateways could say that a session is in use; before that, silence means nothing. */
  readonly hearingSince: Date
}

/** Gateways report every 15 seconds; after three of those, silence says that nobody uses it. */
const HEARING_SECONDS_MIN = 45

/** Why an open session must end now, or `undefined` if it may go on. */
export function whyEnd(facts: SessionFacts, now: Date, idle: IdleRule): EndReason | undefined {
  if (facts.user === 'disabled') return END_REASONS.userDisabled
  if (!facts.clusterExists) return END_REASONS.clusterRemoved
  if (!facts.hasAccess) return END_REASONS.grantEnded
  if (now >= facts.expiresAt) return END_REASONS.expired
  return isIdle(facts, now, idle) ? END_REASONS.idle : undefined
}

function isIdle({ lastActiveAt, openedAt }: SessionFacts, now: Date, idle: IdleRule): boolean {
  if (secondsBetween(idle.hearingSince, now) < HEARING_SECONDS_MIN) return false
  return secondsBetween(lastActiveAt ?? openedAt, now) >= idle.idleSecondsMax
}

function secondsBetween(from: Date, to: Date): number {
  return (to.getTime() - from.getTime()) / 1000
}
