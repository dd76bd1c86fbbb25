import type { Readable } from 'node:stream'

/**
 * The next bytes of a stream that nothing else reads; what follows them stays in it. `at-most` takes
 * what there is until the end, and drops what is beyond the limit.
 * @throws when the stream ends or breaks before, or the time is up
 */
export function readExactly(
  source: Readable,
  bytes: number,
  timeoutMs: number,
  mode: 'exactly' | 'at-most' = 'exactly',
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let got = 0
    const timer = setTimeout(() => finish(new Error('no bytes came in time')), timeoutMs)

    function finish(error?: Error): void {
      clearTimeout(timer)
      source.off('readable', onReadable).off('end', onEnd).off('close', onEnd)
      if (error === undefined) resolve(Buffer.concat(chunks))
      else reject(error)
    }
    function onEnd(): void {
      finish(mode === 'at-most' ? undefined : new Error('the stream ended too soon'))
    }
    function onReadable(): void {
      while (got < bytes) {
        const chunk: unknown = source.read(
          Math.min(bytes - got, source.readableLength || bytes - got),
        )
        if (!Buffer.isBuffer(chunk)) return
        chunks.push(chunk)
        got += chunk.length
      }
      finish()
    }

    source.on('readable', onReadable).on('end', onEnd).on('close', onEnd)
    onReadable()
  })
}
