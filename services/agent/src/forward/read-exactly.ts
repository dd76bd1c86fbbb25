import type { Readable } from 'node:stream'

/** Exactly so many bytes; the rest stays in the stream. @throws Error when it ends or the time is over */
export async function readExactly(stream: Readable, bytes: number, ms: number): Promise<Buffer> {
  const until = performance.now() + ms
  for (;;) {
    if (stream.destroyed) throw new Error('the connection is closed')
    const chunk: unknown = bytes === 0 ? Buffer.alloc(0) : stream.read(bytes)
    if (Buffer.isBuffer(chunk)) {
      if (chunk.length !== bytes) throw new Error('the connection ended too early')
      return chunk
    }
    if (stream.readableEnded) throw new Error('the connection ended too early')
    const leftMs = until - performance.now()
    if (leftMs <= 0) throw new Error('nothing came in time')
    await oneOf(stream, ['readable', 'end', 'close'], leftMs)
  }
}

function oneOf(stream: Readable, events: readonly string[], ms: number): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer)
      for (const event of events) stream.removeListener(event, done)
      resolve()
    }
    const timer = setTimeout(done, ms)
    for (const event of events) stream.on(event, done)
  })
}
