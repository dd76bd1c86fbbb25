/** Something that runs under a session. */
type LiveStream = { cut(): void }

/** What runs under each session now, so that it ends with the session. */
export type LiveStreams = {
  add(sessionId: string, stream: LiveStream): void
  remove(sessionId: string, stream: LiveStream): void
  /** Cuts everything that runs under the session. */
  cut(sessionId: string): void
  readonly count: number
}

export function createLiveStreams(): LiveStreams {
  const bySession = new Map<string, Set<LiveStream>>()
  let count = 0
  return {
    add(sessionId, stream) {
      const own = bySession.get(sessionId) ?? new Set()
      bySession.set(sessionId, own)
      own.add(stream)
      count += 1
    },
    remove(sessionId, stream) {
      const own = bySession.get(sessionId)
      if (own?.delete(stream) !== true) return
      count -= 1
      if (own.size === 0) bySession.delete(sessionId)
    },
    cut(sessionId) {
      for (const stream of bySession.get(sessionId) ?? []) stream.cut()
    },
    get count() {
      return count
    },
  }
}
