import type { LogPosition } from './follower-position.ts'

/** How long a lease holds, from the moment its request was sent. */
export const LEASE_MS = 2000
/** Requests whose answer may still count; older ones are forgotten. */
const SENT_MAX = 32

/** What a lease rests on. Immutable; times are of the holder's own clock. */
export type LeaseState = {
  /** The log up to `head` was known to be all there was, at some moment after `until - LEASE_MS`. */
  readonly until: number
  readonly epoch: string
  readonly head: bigint
  /** When each request that was not answered was sent, by nonce. */
  readonly sent: ReadonlyMap<string, number>
}

export const NO_LEASE: LeaseState = { until: 0, epoch: '', head: 0n, sent: new Map() }

export type LeaseAnswer = { readonly nonce: string; readonly epoch: string; readonly head: bigint }

export function leaseAsked(lease: LeaseState, nonce: string, now: number): LeaseState {
  const recent = [...lease.sent].filter(([, sentAt]) => sentAt + LEASE_MS > now)
  return { ...lease, sent: new Map([...recent.slice(1 - SENT_MAX), [nonce, now]]) }
}

/**
 * `behind`: the reader has to pull first. `stale`: the answer to nothing, or so late that it proves
 * nothing any more.
 */
export function leaseAnswered(
  lease: LeaseState,
  { nonce, epoch, head }: LeaseAnswer,
  position: LogPosition,
  now: number,
): { readonly lease: LeaseState; readonly outcome: 'granted' | 'behind' | 'stale' } {
  const sentAt = lease.sent.get(nonce)
  if (sentAt === undefined) return { lease, outcome: 'stale' }
  const sent = new Map(lease.sent)
  sent.delete(nonce)
  const rest = { ...lease, sent }
  // From the moment of sending: how long the answer was on its way cannot be known otherwise.
  const until = sentAt + LEASE_MS
  if (until <= now) return { lease: rest, outcome: 'stale' }
  const isUpToDate = epoch !== '' && epoch === position.epoch && position.pos >= head
  if (!isUpToDate) return { lease: rest, outcome: 'behind' }
  // Answers overtake each other; an older one must not shorten what a newer one proved.
  if (epoch === lease.epoch && until <= lease.until) return { lease: rest, outcome: 'granted' }
  return { lease: { sent, until, epoch, head }, outcome: 'granted' }
}

/** The position counts too: a state that was emptied and is being folded again proves nothing. */
export function isLeaseValid(lease: LeaseState, position: LogPosition, now: number): boolean {
  return now < lease.until && position.epoch === lease.epoch && position.pos >= lease.head
}
