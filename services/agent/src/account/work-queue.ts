/** Runs so much at a time; the rest waits its turn, in order. */
export function createWorkQueue(atOnce: number) {
  const waiting: (() => void)[] = []
  let running = 0

  return {
    async run<T>(task: () => Promise<T>): Promise<T> {
      if (running >= atOnce) await new Promise<void>((resolve) => waiting.push(resolve))
      else running += 1
      try {
        return await task()
      } finally {
        const next = waiting.shift()
        // Whoever is next takes over the place.
        if (next === undefined) running -= 1
        else next()
      }
    },
  }
}
