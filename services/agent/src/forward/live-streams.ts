import { Roster } from '@postern/mux'

/** Something that runs under a session. */
type LiveStream = { cut(): void }

/** What runs under each session now, so that it ends with the session. */
export type LiveStreams = {
  /** Answers what to call when it has ended. */
  add(sessionId: string, stream: LiveStream): () => void
  /** Cuts everything that runs under the session. */
  cut(sessionId: string): void
  readonly count: number
}

export function createLiveStreams(): LiveStreams {
  const running = new Roster<{ readonly sessionId: string; readonly stream: LiveStream }>()
  return {
    add(sessionId, stream) {
      const live = { sessionId, stream }
      const seat = running.add(live)
      return () => void running.remove(seat, live)
    },
    cut(sessionId) {
      for (const [, live] of running) if (live.sessionId === sessionId) live.stream.cut()
    },
    get count() {
      return running.size
    },
  }
}
