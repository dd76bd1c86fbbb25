import { open } from 'node:fs/promises'
import { decodeRecord, RECORD_BYTES_MAX, type SpooledRecord } from './spool-frame.ts'
import type { Segment } from './spool-recovery.ts'

/** How far the spool is read. */
export type Cursor = { segment: Segment; offset: number; next: bigint }

/** A contiguous run from the cursor on. Only what `writeGroup` counted is read: it is durable. */
export async function readRun(
  cursor: Cursor,
  segments: readonly Segment[],
  limit: { records: number; bytes: number },
): Promise<SpooledRecord[]> {
  for (;;) {
    if (cursor.next < cursor.segment.next) break
    const following = segments[segments.indexOf(cursor.segment) + 1]
    if (following === undefined) return []
    Object.assign(cursor, { segment: following, offset: 0, next: following.first })
  }
  const run: SpooledRecord[] = []
  const window = await readWindow(cursor, limit.bytes)
  let at = 0
  while (run.length < limit.records && cursor.next < cursor.segment.next) {
    const found = decodeRecord(window, at, cursor.next)
    if (found === undefined) break
    run.push(found.record)
    at = found.next
    cursor.next += 1n
  }
  cursor.offset += at
  if (run.length === 0) throw new Error(`the spool's ${cursor.segment.path} cannot be read back`)
  return run
}

async function readWindow(cursor: Cursor, bytes: number): Promise<Buffer> {
  const length = Math.min(
    Math.max(bytes, 2 * RECORD_BYTES_MAX),
    cursor.segment.bytes - cursor.offset,
  )
  const window = Buffer.allocUnsafe(length)
  const file = await open(cursor.segment.path, 'r')
  try {
    let filled = 0
    while (filled < length) {
      const { bytesRead } = await file.read(window, filled, length - filled, cursor.offset + filled)
      if (bytesRead === 0) break
      filled += bytesRead
    }
    return window.subarray(0, filled)
  } finally {
    await file.close()
  }
}
