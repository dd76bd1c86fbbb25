/** What a timer may be early. */
const EARLY_MS = 1

type Ticking = { readonly calls: Set<{ readonly call: () => void }>; readonly end: () => void }

/** By the milliseconds between ticks: as Node's own timers, one for the process. */
const ticking = new Map<number, Ticking>()

/**
 * Calls at every multiple of so many milliseconds of this process's time: all that wait for the same ones
 * wake an idle process once, by one timer. Answers what ends it.
 */
export function everyTick(ms: number, call: () => void): () => void {
  const { calls, end } = ticking.get(ms) ?? begin(ms)
  // The same function may wait twice.
  const mine = { call }
  calls.add(mine)
  return () => {
    if (!calls.delete(mine) || calls.size > 0) return
    end()
    ticking.delete(ms)
  }
}

/** How long it is until the next of those multiples; not until one whose timer has just come early. */
export function untilTick(ms: number): number {
  const at = performance.now()
  return Math.ceil(tickAfter(at + EARLY_MS, ms) - at)
}

function begin(ms: number): Ticking {
  const calls: Ticking['calls'] = new Set()
  let nextAt = tickAfter(performance.now(), ms)
  let timer: NodeJS.Timeout

  const wait = (): void => {
    // Whoever stood still since that was found is late already.
    timer = setTimeout(tick, Math.max(0, Math.ceil(nextAt - performance.now())))
  }
  const tick = (): void => {
    // A timer may be early by a part of a millisecond, which makes no second tick of one.
    nextAt = Math.max(nextAt + ms, tickAfter(performance.now(), ms))
    wait()
    for (const { call } of calls) call()
  }
  wait()
  const begun = { calls, end: () => clearTimeout(timer) }
  ticking.set(ms, begun)
  return begun
}

function tickAfter(at: number, ms: number): number {
  return (Math.floor(at / ms) + 1) * ms
}
