import { setTimeout } from 'node:timers/promises'
import { eventually } from '@postern/bootstrap'

const STANDS_STILL_MS = 500
const SETTLED_MS_MAX = 30_000

/** Lets time go by in which nothing happens: what is tried is that nothing does. */
export async function idle(seconds: number): Promise<void> {
  await setTimeout(seconds * 1000)
}

/** What it is once it no longer grows. */
export async function settled(value: () => number): Promise<number> {
  let last = -1
  let since = performance.now()
  return await eventually('it to stand still', SETTLED_MS_MAX, async () => {
    const now = value()
    if (now !== last) since = performance.now()
    last = now
    if (performance.now() - since < STANDS_STILL_MS) throw new Error(`it is ${now}`)
    return now
  })
}
