import { createTokenBucket, type TokenBucket } from './token-bucket.ts'

export type RequestLimits = {
  /** Requests of all users that run at the same time, streams included. */
  readonly running: number
  /** Of one user: requests that end by themselves, and streams. */
  readonly shortPerUser: number
  readonly streamsPerUser: number
  readonly perSecondPerUser: number
  readonly burstPerUser: number
}

/** `discovery` and self reviews have a budget of their own: without them no client can do anything. */
export type BudgetKind = 'discovery' | 'short' | 'stream'

export type Admission =
  | { readonly refused: 'user-rate' | 'user-concurrency' | 'gateway-full' }
  | { readonly release: () => void }

type Usage = { discovery: TokenBucket; requests: TokenBucket; short: number; stream: number }

const IDLE_USERS_MAX = 10_000

/** What one user, and all together, may have going on. */
export function createRequestLimiter(limits: RequestLimits) {
  const users = new Map<string, Usage>()
  let running = 0

  function usageOf(userId: string, nowMs: number): Usage {
    const known = users.get(userId)
    if (known !== undefined) return known
    if (users.size >= IDLE_USERS_MAX) forgetOneIdle(nowMs)
    const rate = { perSecond: limits.perSecondPerUser, burst: limits.burstPerUser }
    const usage = {
      discovery: createTokenBucket(rate),
      requests: createTokenBucket(rate),
      short: 0,
      stream: 0,
    }
    users.set(userId, usage)
    return usage
  }

  /** Only who loses nothing by it, and gains nothing. */
  function forgetOneIdle(nowMs: number): void {
    for (const [userId, { discovery, requests, short, stream }] of users) {
      if (short + stream > 0 || !discovery.isFull(nowMs) || !requests.isFull(nowMs)) continue
      users.delete(userId)
      return
    }
  }

  return {
    admit(userId: string, kind: BudgetKind, nowMs: number): Admission {
      if (running >= limits.running) return { refused: 'gateway-full' }
      const usage = usageOf(userId, nowMs)
      const bucket = kind === 'discovery' ? usage.discovery : usage.requests
      if (!bucket.take(nowMs)) return { refused: 'user-rate' }
      const counter = kind === 'stream' ? 'stream' : 'short'
      const most = kind === 'stream' ? limits.streamsPerUser : limits.shortPerUser
      if (usage[counter] >= most) return { refused: 'user-concurrency' }
      usage[counter] += 1
      running += 1
      let released = false
      return {
        release() {
          if (released) return
          released = true
          usage[counter] -= 1
          running -= 1
        },
      }
    },
    get running() {
      return running
    },
  }
}

export type RequestLimiter = ReturnType<typeof createRequestLimiter>
