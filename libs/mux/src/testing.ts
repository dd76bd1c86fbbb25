import { type Duplex, duplexPair } from 'node:stream'
import { setImmediate } from 'node:timers/promises'
import type { MuxLimits, MuxSession, MuxStream, StreamReceiver } from './api.ts'
import { createMuxSession } from './session.ts'

/** Two sessions over a connection in memory. */
export function createMuxPair(limits: Partial<MuxLimits> = {}): {
  client: MuxSession
  server: MuxSession
  /** The connection breaks without a word. */
  cut: () => void
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

/** What a stream brought. */
export type Heard = { head: string; data: Buffer[]; ended: boolean; closed: boolean; error?: Error }

/** Reads a stream and remembers. */
export function listen(stream: MuxStream, more: Partial<StreamReceiver> = {}) {
  const heard: Heard = { head: '', data: [], ended: false, closed: false }
  stream.receive({
    onHead: (head) => {
      heard.head = head.toString()
    },
    onData: (chunk) => heard.data.push(Buffer.from(chunk)),
    onEnd: () => {
      heard.ended = true
    },
    onClose(error) {
      heard.closed = true
      if (error !== undefined) heard.error = error
    },
    ...more,
  })
  return heard
}

/** Turns of the event loop, until it holds. */
export async function until(condition: () => boolean): Promise<void> {
  for (let turns = 0; turns < 10_000; turns += 1) {
    if (condition()) return
    await setImmediate()
  }
  throw new Error('it never held')
}

export const bytesOf = ({ data }: Heard): number =>
  data.reduce((sum, { length }) => sum + length, 0)

/** The next stream that the other side accepts. */
export function accepted(server: MuxSession): Promise<{ stream: MuxStream; head: Buffer }> {
  return new Promise((resolve) =>
    server.onStream((stream, head) => resolve({ stream, head: Buffer.from(head) })),
  )
}

/** Writes all of it as fast as the reader lets it, then ends. */
export function sendAll(stream: MuxStream, bytes: number, chunkBytes = 64 * 1024) {
  const progress = { written: 0 }
  const pump = () => {
    while (progress.written < bytes) {
      const length = Math.min(chunkBytes, bytes - progress.written)
      progress.written += length
      if (!stream.write(Buffer.alloc(length, progress.written / chunkBytes))) return
    }
    stream.end()
  }
  return { pump, progress }
}
