import type { Duplex } from 'node:stream'
import { BatchWriter } from '@postern/mux'

/** One direction has ended, and in the other one nothing has moved for so long. */
const QUIET_MS = 5_000

/**
 * Joins two connections until neither is open any more. What one side ends is ended on the other, behind its
 * last byte, and the other direction goes on for as long as it carries anything; then both close, for
 * kube-apiserver ends both ways when one has ended. What breaks before its end, breaks.
 */
export function splice(left: Duplex, right: Duplex): Promise<void> {
  let carried = 0
  let watching: NodeJS.Timeout | undefined
  /** Somebody who reads slowly is waited for, somebody who says nothing more is not. */
  const closeOnceQuiet = () => {
    let before = carried
    watching ??= setInterval(() => {
      const isQuiet = carried === before && left.writableLength + right.writableLength === 0
      before = carried
      if (!isQuiet) return
      left.destroy()
      right.destroy()
    }, QUIET_MS)
  }

  function carry(from: Duplex, to: Duplex): void {
    const writer = new BatchWriter(from, to)
    from.on('data', (chunk: Buffer) => {
      carried += chunk.length
      writer.write(chunk)
    })
    from.on('end', () => writer.end())
    to.on('finish', closeOnceQuiet)
    // Its close says whether it was before its end: a failed write does not undo what was read.
    from.on('error', () => {})
    from.on('close', () => {
      if (from.readableEnded) to.resume()
      else to.destroy()
    })
    from.resume()
  }

  return new Promise((resolve) => {
    const look = () => {
      if (!left.closed || !right.closed) return
      clearInterval(watching)
      resolve()
    }
    left.on('close', look)
    right.on('close', look)
    carry(left, right)
    carry(right, left)
    look()
  })
}
