import { setTimeout } from 'node:timers/promises'

/** Waits; an abort ends the wait, it does not throw. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await setTimeout(ms, undefined, { signal }).catch(() => {})
}
