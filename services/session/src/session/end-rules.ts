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

/** Why an open session must end now, or `undefined` if it may go on. */
export function whyEnd(
  facts: SessionFacts,
  now: Date,
  idleSecondsMax: number,
): EndReason | undefined {
  if (facts.user === 'disabled') return END_REASONS.userDisabled
  if (!facts.clusterExists) return END_REASONS.clusterRemoved
  if (!facts.hasAccess) return END_REASONS.grantEnded
  if (now >= facts.expiresAt) return END_REASONS.expired
  const lastActiveAt = facts.lastActiveAt ?? facts.openedAt
  if (now.getTime() - lastActiveAt.getTime() >= idleSecondsMax * 1000) return END_REASONS.idle
  return undefined
}
