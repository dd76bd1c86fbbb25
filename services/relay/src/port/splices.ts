import type { Socket } from 'node:net'
import type { RelaySignals, SpliceKind } from '../signals.ts'
import { carry } from './carry.ts'

/** Sockets that were joined: whatever one sends, the other gets, as it is. */
export type Splices = {
  /** False: there are too many. `agent` is the end whose bytes go up. */
  join(kind: SpliceKind, agent: Socket, other: Socket): boolean
  readonly count: number
  /** Resolves when none is left of those that end by themselves. */
  drained(): Promise<void>
  /** Resets what is left: none of it looks complete. */
  cut(): void
}

/** An agent keeps its connections to these for as long as it lives, and repeats its calls through any relay. */
const LASTING: ReadonlySet<SpliceKind> = new Set(['tunnel-broker', 'session'])

type Splice = {
  readonly kind: SpliceKind
  readonly agent: Socket
  readonly other: Socket
  countedUp: number
  countedDown: number
}

export function createSplices(splicesMax: number, signals: RelaySignals): Splices {
  const splices = new Set<Splice>()
  const onDrained = new Set<() => void>()
  let ending = 0

  // What a socket has written is what was carried: nothing is counted on the way.
  const count = (splice: Splice) => {
    const up = splice.other.bytesWritten
    const down = splice.agent.bytesWritten
    signals.carried(splice.kind, 'up', up - splice.countedUp)
    signals.carried(splice.kind, 'down', down - splice.countedDown)
    splice.countedUp = up
    splice.countedDown = down
  }
  signals.observe({ splices: () => splices.size, count: () => splices.forEach(count) })

  return {
    join(kind, agent, other) {
      if (splices.size >= splicesMax) return false
      const splice: Splice = { kind, agent, other, countedUp: 0, countedDown: 0 }
      splices.add(splice)
      const endsByItself = !LASTING.has(kind)
      if (endsByItself) ending += 1
      signals.spliced(kind)
      const over = () => {
        if (!splices.delete(splice)) return
        count(splice)
        if (endsByItself) ending -= 1
        if (ending === 0) for (const resolve of onDrained) resolve()
      }
      carry(agent, other, over)
      carry(other, agent, over)
      return true
    },
    get count() {
      return splices.size
    },
    drained: () =>
      new Promise((resolve) => {
        if (ending === 0) resolve()
        else onDrained.add(resolve)
      }),
    cut() {
      for (const { agent, other } of splices) {
        agent.resetAndDestroy()
        other.resetAndDestroy()
      }
    },
  }
}
