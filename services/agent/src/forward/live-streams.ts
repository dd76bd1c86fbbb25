/** What runs under each session now, so that it ends with the session. */
export type LiveStreams = {
  /** Answers a function that takes it out again. */
  add(sessionId: string, cut: () => void): () => void
  /** Cuts everything that runs under the session. */
  cut(sessionId: string): void
  readonly count: number
}

export function createLiveStreams(): LiveStreams {
  const bySession = new Map<string, Set<() => void>>()
  let count = 0
  return {
    add(sessionId, cut) {
      const own = bySession.get(sessionId) ?? new Set()
      bySession.set(sessionId, own)
      own.add(cut)
      count += 1
      return () => {
        if (!own.delete(cut)) return
        count -= 1
        if (own.size === 0 && bySession.get(sessionId) === own) bySession.delete(sessionId)
      }
    },
    cut(sessionId) {
      for (const cut of bySession.get(sessionId) ?? []) cut()
    },
    get count() {
      return count
    },
  }
}
