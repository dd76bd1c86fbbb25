import { setTimeout } from 'node:timers/promises'

/** Waits; an abort ends the wait, it does not throw. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await setTimeout(ms, undefined, { signal }).catch(() => {})
}

/** Waits until the listener is called, at most so long. */
export async function pauseUnless(
  subscribe: (listener: () => void) => () => void,
  ms: number,
  signal: AbortSignal,
): Promise<void> {
  const woken = new AbortController()
  const forget = subscribe(() => woken.abort())
  try {
    await pause(ms, AbortSignal.any([signal, woken.signal]))
  } finally {
    forget()
  }
}
