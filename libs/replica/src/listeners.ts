import type { Log } from '@postern/telemetry'

export type Listeners<Value> = {
  /** Answers a function that ends it. */
  add(listener: (value: Value) => void): () => void
  /** One that throws does not keep the others, or the fold, from going on. */
  call(value: Value): void
}

export function createListeners<Value>(log: Log): Listeners<Value> {
  const listeners = new Set<{ readonly call: (value: Value) => void }>()
  return {
    add(listener) {
      const entry = { call: listener }
      listeners.add(entry)
      return () => {
        listeners.delete(entry)
      }
    },
    call(value) {
      for (const { call } of listeners) {
        try {
          call(value)
        } catch (error) {
          log.error({ err: error }, 'a listener of the replica failed')
        }
      }
    },
  }
}
