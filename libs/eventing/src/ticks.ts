/**
 * Calls at every multiple of so many milliseconds of this process's time: all that wait for the same ones
 * wake an idle process once, not each for itself. Answers what ends it.
 */
export function everyTick(ms: number, call: () => void): () => void {
  let nextAt = tickAfter(performance.now(), ms)
  let timer: NodeJS.Timeout

  const wait = (): void => {
    timer = setTimeout(tick, Math.ceil(nextAt - performance.now()))
  }
  const tick = (): void => {
    // A timer may be early by a part of a millisecond, which makes no second tick of one.
    nextAt = Math.max(nextAt + ms, tickAfter(performance.now(), ms))
    wait()
    call()
  }
  wait()
  return () => clearTimeout(timer)
}

function tickAfter(at: number, ms: number): number {
  return (Math.floor(at / ms) + 1) * ms
}
