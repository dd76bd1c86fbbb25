import { open } from 'node:fs/promises'
import { decodeRecord, frameBytes, RECORD_BYTES_MAX, type SpooledRun } from './spool-frame.ts'
import type { Segment } from './spool-recovery.ts'

/** How far the spool is read. */
export type Cursor = { segment: Segment; offset: number; next: bigint }

/** A run from the cursor on. Only what `writeGroup` counted is read: it is durable. */
export async function readRun(
  cursor: Cursor,
  segments: readonly Segment[],
  limit: { records: number; bytes: number },
): Promise<SpooledRun> {
  if (!findSegment(cursor, segments)) return { first: cursor.next, records: [] }
  const first = cursor.next
  const records: Buffer[] = []
  const window = await readWindow(cursor, limit.bytes)
  let at = 0
  while (records.length < limit.records && cursor.next < cursor.segment.next) {
    const found = decodeRecord(window, at, cursor.next)
    if (found === undefined) break
    records.push(found.record)
    at = found.next
    cursor.next += 1n
  }
  cursor.offset += at
  if (records.length === 0) {
    throw new Error(`the spool's ${cursor.segment.path} cannot be read back`)
  }
  return { first, records }
}

/** Moves the cursor behind records that begin there and were kept in memory. */
export function passOver(
  cursor: Cursor,
  segments: readonly Segment[],
  records: readonly Buffer[],
): void {
  for (let at = 0; at < records.length && findSegment(cursor, segments); ) {
    const inSegment = records.slice(at, at + Number(cursor.segment.next - cursor.next))
    for (const record of inSegment) cursor.offset += frameBytes(record)
    cursor.next += BigInt(inSegment.length)
    at += inSegment.length
  }
}

/** Moves the cursor to the segment of its record; answers whether there is one yet. */
function findSegment(cursor: Cursor, segments: readonly Segment[]): boolean {
  while (cursor.next >= cursor.segment.next) {
    const following = segments[segments.indexOf(cursor.segment) + 1]
    if (following === undefined) return false
    Object.assign(cursor, { segment: following, offset: 0, next: following.first })
  }
  return true
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
