/**
 * Lets callers share one read, but never one that began before they asked: at most one runs and one
 * waits, however many ask.
 */
export function shareReads<Value>(read: () => Promise<Value>): () => Promise<Value> {
  let running: Promise<Value> | undefined
  let waiting: Promise<Value> | undefined

  const begin = (): Promise<Value> => {
    const reading = read()
    running = reading
    const end = () => {
      if (running === reading) running = undefined
    }
    void reading.catch(() => undefined).then(end)
    return reading
  }

  return () => {
    if (running === undefined) return begin()
    waiting ??= running
      .catch(() => undefined)
      .then(() => {
        waiting = undefined
        return begin()
      })
    return waiting
  }
}
