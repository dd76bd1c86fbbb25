import type { Duplex } from 'node:stream'

/** One side has ended; the other one has so long to do the same. */
const CLOSING_MS = 5_000

/**
 * Joins two connections until both are done. What one side ends cleanly is ended cleanly on the other,
 * after its last byte; what breaks, breaks. Resolves when neither is open any more.
 */
export function splice(left: Duplex, right: Duplex): Promise<void> {
  const carry = (from: Duplex, to: Duplex) => {
    from.pipe(to)
    from.on('error', () => to.destroy())
    from.on('close', () => {
      if (!from.readableEnded) to.destroy()
    })
    // kube-apiserver ends both ways when one has ended; the last bytes are out by now.
    to.on('finish', () => {
      const timer = setTimeout(() => {
        from.destroy()
        to.destroy()
      }, CLOSING_MS)
      timer.unref()
    })
  }
  carry(left, right)
  carry(right, left)
  return new Promise((resolve) => {
    const look = () => {
      if (left.closed && right.closed) resolve()
    }
    left.on('close', look)
    right.on('close', look)
    look()
  })
}
