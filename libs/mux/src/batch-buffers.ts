/** What is written at once has at most so many bytes. */
export const BATCH_BYTES = 128 * 1024
const KEPT_MAX = 32

const kept: Buffer[] = []

/** A buffer to gather frames in. Used again, for making one and sweeping it up costs more than filling it. */
export function takeBatchBuffer(): Buffer {
  return kept.pop() ?? Buffer.allocUnsafeSlow(BATCH_BYTES)
}

/** Nobody reads it any more. */
export function giveBackBatchBuffer(buffer: Buffer): void {
  if (kept.length < KEPT_MAX) kept.push(buffer)
}
