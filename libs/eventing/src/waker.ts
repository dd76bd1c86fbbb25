/** Tells everyone who listens that something happened. */
export function createWaker(): {
  readonly wake: () => void
  readonly subscribe: (listener: () => void) => () => void
} {
  const listeners = new Set<() => void>()
  return {
    wake: () => {
      for (const listener of listeners) listener()
    },
    subscribe: (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
}
