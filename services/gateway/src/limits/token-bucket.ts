/** Lets `burst` through at once and `perSecond` in the long run. */
export type TokenBucket = { take(nowMs: number): boolean }

export function createTokenBucket(limit: { perSecond: number; burst: number }): TokenBucket {
  let tokens = limit.burst
  let last: number | undefined
  return {
    take(nowMs) {
      const elapsed = Math.max(0, nowMs - (last ?? nowMs))
      last = nowMs
      tokens = Math.min(limit.burst, tokens + (elapsed / 1000) * limit.perSecond)
      if (tokens < 1) return false
      tokens -= 1
      return true
    },
  }
}
