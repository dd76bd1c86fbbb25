const WARM_MS = 300
const MEASURED_MS = 1_000
const BATCH = 1_000

/** CPU of the process for one run in microseconds, once it is compiled: garbage collection included, others' work not. */
export function microsEach(work: (n: number) => unknown): number {
  repeat(work, WARM_MS)
  return repeat(work, MEASURED_MS)
}

function repeat(work: (n: number) => unknown, ms: number): number {
  const before = process.cpuUsage()
  let count = 0
  for (;;) {
    for (let n = 0; n < BATCH; n += 1) kept = work(count + n)
    count += BATCH
    const { user, system } = process.cpuUsage(before)
    if (user + system < ms * 1000) continue
    if (kept === undefined) throw new Error('the work has no result')
    return (user + system) / count
  }
}

/** What the work made: without it, none of the work would have to be done. */
let kept: unknown
