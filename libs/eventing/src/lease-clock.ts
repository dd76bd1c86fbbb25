/**
 * A clock for leases. It never goes back, and counts time that either of its sources saw: the monotonic
 * clock stands still while a virtual machine is suspended, the wall clock may be set back. A clock that
 * runs too fast only loses a lease early.
 */
export function createLeaseClock(
  sources: { monotonic: () => number; wall: () => number } = {
    monotonic: () => performance.now(),
    wall: () => Date.now(),
  },
): () => number {
  let elapsed = 0
  let monotonic = sources.monotonic()
  let wall = sources.wall()
  return () => {
    const [monotonicNow, wallNow] = [sources.monotonic(), sources.wall()]
    elapsed += Math.max(0, monotonicNow - monotonic, wallNow - wall)
    monotonic = monotonicNow
    wall = wallNow
    return elapsed
  }
}
