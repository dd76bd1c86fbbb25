import { Roster } from '@postern/mux'

/** Something that runs under a session. */
export type LiveStream = { readonly sessionId: string; cut(): void }

/** What runs under each session now, so that it ends with the session. */
export type LiveStreams = {
  /** Answers its seat, by which it leaves. */
  add(stream: LiveStream): number
  remove(seat: number, stream: LiveStream): void
  /** Cuts everything that runs under the session. */
  cut(sessionId: string): void
  readonly count: number
}

export function createLiveStreams(): LiveStreams {
  const running = new Roster<LiveStream>()
  return {
    add: (stream) => running.add(stream),
    remove: (seat, stream) => void running.remove(seat, stream),
    cut(sessionId) {
      for (const [, live] of running) if (live.sessionId === sessionId) live.cut()
    },
    get count() {
      return running.size
    },
  }
}
