/** Lets `burst` through at once and `perSecond` in the long run. */
export type TokenBucket = {
  take(nowMs: number): boolean
  /** Whether it is like a new one. */
  isFull(nowMs: number): boolean
}

export function createTokenBucket(limit: { perSecond: number; burst: number }): TokenBucket {
  let tokens = limit.burst
  let last: number | undefined
  function tokensAt(nowMs: number): number {
    const elapsed = Math.max(0, nowMs - (last ?? nowMs))
    return Math.min(limit.burst, tokens + (elapsed / 1000) * limit.perSecond)
  }
  return {
    take(nowMs) {
      tokens = tokensAt(nowMs)
      last = nowMs
      if (tokens < 1) return false
      tokens -= 1
      return true
    },
    isFull: (nowMs) => tokensAt(nowMs) === limit.burst,
  }
}
