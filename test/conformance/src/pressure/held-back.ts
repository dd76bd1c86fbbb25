import { createHash, type Hash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type { Writable } from 'node:stream'
import { settled } from '../time.ts'
import type { Flow } from './open-flow.ts'

const PIECE_BYTES = 64 * 1024
/** More than kernel and Postern take of what nobody reads. */
const WRITTEN_BYTES_MAX = 256 * 1024 * 1024

/** What was found out about a flow that nobody read at first. */
export type HeldBack = {
  /** What both ends and all that is between them had in their memory. */
  readonly heldBytes: number
  /** More was to be written, and had to wait. */
  readonly hadToWait: boolean
  readonly bytes: number
  readonly isSame: boolean
}

/**
 * Writes pieces, each of which begins so, until no more are taken while nobody reads; then reads to the
 * end. `inKernel` is asked for what lies on the way outside of every process.
 */
export async function holdBack(
  { source, sink }: Flow,
  { beginning, inKernel }: { readonly beginning: Buffer; readonly inKernel: () => number },
): Promise<HeldBack> {
  const sent = createHash('sha256')
  const writing = write(source, beginning, sent)
  const taken = await settled(() => writing.bytes() - source.writableLength)
  const heldBytes = taken - inKernel()
  const hadToWait = source.writableNeedDrain
  writing.stop()
  const received = createHash('sha256')
  let bytes = 0
  for await (const chunk of sink) {
    received.update(chunk)
    bytes += chunk.length
  }
  await writing.done
  const isSame = bytes === writing.bytes() && received.digest('hex') === sent.digest('hex')
  return { heldBytes, hadToWait, bytes, isSame }
}

/** Writes one piece after the other, no two alike, and no faster than they are taken. */
function write(to: Writable, beginning: Buffer, hash: Hash) {
  const base = randomBytes(PIECE_BYTES)
  base.set(beginning)
  let pieces = 0
  let isStopped = false
  const closed = once(to, 'close')
  closed.catch(() => {})
  const run = async () => {
    for (; !isStopped && pieces * PIECE_BYTES < WRITTEN_BYTES_MAX; pieces += 1) {
      const piece = Buffer.from(base)
      piece.writeUInt32BE(pieces, beginning.length)
      hash.update(piece)
      if (!to.write(piece)) await Promise.race([once(to, 'drain'), closed])
      if (to.destroyed) throw new Error('it was closed before its end')
    }
    to.end()
  }
  const done = run()
  done.catch(() => {})
  return {
    bytes: () => pieces * PIECE_BYTES,
    stop() {
      isStopped = true
    },
    done,
  }
}
