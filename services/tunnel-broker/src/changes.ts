import { EventEmitter, once } from 'node:events'

/** Wakes those who wait for a change. What changes between a look and the wait is not missed. */
export type Changes = {
  /** Something changed, or may have. */
  note(): void
  /** To be taken before one looks. */
  seen(): number
  /** Resolves at the next change after what was seen, when the time is up, or at the signal. */
  more(seen: number, timeoutMs: number, signal: AbortSignal): Promise<void>
}

export function createChanges(): Changes {
  const changed = new EventEmitter().setMaxListeners(0)
  let count = 0
  return {
    note() {
      count += 1
      changed.emit('change')
    },
    seen: () => count,
    async more(seen, timeoutMs, signal) {
      if (count !== seen) return
      const deadline = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)])
      await once(changed, 'change', { signal: deadline }).catch(() => {})
    },
  }
}
