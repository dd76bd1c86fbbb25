const FIRST_MS = 100
const MAX_MS = 10_000

/** How long to wait after so many failures in a row: doubling, bounded, spread by `random` (0 to 1). */
export function backoffMs(failures: number, random: number): number {
  const most = Math.min(MAX_MS, FIRST_MS * 2 ** Math.min(failures, 16))
  return most / 2 + (most / 2) * random
}
