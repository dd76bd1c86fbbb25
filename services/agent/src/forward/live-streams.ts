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
  /** The same, behind the gateway: it hears of the end as well, and can say to the client why. */
  cutSoon(sessionId: string): void
  readonly count: number
}

/** Well within a lease. */
const GATEWAY_FIRST_MS = 250

export function createLiveStreams(): LiveStreams {
  const running = new Roster<LiveStream>()

  function cut(sessionId: string): void {
    for (const [, live] of running) if (live.sessionId === sessionId) live.cut()
  }

  return {
    add: (stream) => running.add(stream),
    remove: (seat, stream) => void running.remove(seat, stream),
    cut,
    cutSoon(sessionId) {
      setTimeout(() => cut(sessionId), GATEWAY_FIRST_MS).unref()
    },
    get count() {
      return running.size
    },
  }
}
