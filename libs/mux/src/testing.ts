import { type Duplex, duplexPair } from 'node:stream'
import type { MuxLimits, MuxSession } from './api.ts'
import { createMuxSession } from './session.ts'

/** Two sessions over a connection in memory. */
export function createMuxPair(limits: Partial<MuxLimits> = {}): {
  client: MuxSession
  server: MuxSession
  /** The connection breaks without a word. */
  cut(): void
} {
  const [a, b]: Duplex[] = duplexPair()
  if (a === undefined || b === undefined) throw new Error('duplexPair made no pair')
  return {
    client: createMuxSession(a, { role: 'client', limits }),
    server: createMuxSession(b, { role: 'server', limits }),
    cut() {
      a.destroy()
      b.destroy()
    },
  }
}
