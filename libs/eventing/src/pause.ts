/** Waits; an abort ends the wait, it does not throw. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await pauseUnless(NOTHING_ELSE, ms, signal)
}

/** Waits until the listener is called, at most so long. An abort ends the wait, it does not throw. */
export async function pauseUnless(
  subscribe: (listener: () => void) => () => void,
  ms: number,
  signal: AbortSignal,
): Promise<void> {
  if (signal.aborted) return
  await new Promise<void>((resolve) => {
    // No signal of its own for each wait: to make and to abort one costs more than all the rest.
    const end = (): void => {
      clearTimeout(timer)
      forget()
      signal.removeEventListener('abort', end)
      resolve()
    }
    const timer = setTimeout(end, ms)
    const forget = subscribe(end)
    signal.addEventListener('abort', end)
  })
}

const NOTHING_ELSE = () => () => undefined
