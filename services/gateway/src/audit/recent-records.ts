import type { SpooledRecord } from './spool-frame.ts'
import type { Segment } from './spool-recovery.ts'

/** How far the spool is read. */
export type Cursor = { segment: Segment; offset: number; next: bigint }

const BYTES_MAX = 4 * 1024 * 1024

/**
 * The records that were written last: whoever keeps up with the writing need not read them back from
 * the disk. What is too much to keep is read back after all.
 */
export function createRecentRecords() {
  let kept: { readonly record: SpooledRecord; readonly behind: Readonly<Cursor> }[] = []
  let keptBytes = 0

  return {
    /** `behind`: where the cursor stands once it is read. */
    add({ number, bytes }: { number: bigint; bytes: Uint8Array }, behind: Cursor): void {
      const { buffer, byteOffset, byteLength } = bytes
      const record = { number, bytes: Buffer.from(buffer, byteOffset, byteLength) }
      if (keptBytes + byteLength > BYTES_MAX) {
        kept = []
        keptBytes = 0
      }
      kept.push({ record, behind })
      keptBytes += byteLength
    },

    /** The next run, and the cursor behind it; `undefined` where they must be read from the disk. */
    take(cursor: Cursor, limit: { records: number; bytes: number }): SpooledRecord[] | undefined {
      const first = kept[0]?.record.number
      if (first === undefined || cursor.next < first) return undefined
      const run: SpooledRecord[] = []
      let at = Number(cursor.next - first)
      let bytes = 0
      for (let one = kept[at]; one !== undefined; one = kept[at]) {
        bytes += one.record.bytes.length
        if (run.length === limit.records || (run.length > 0 && bytes > limit.bytes)) break
        run.push(one.record)
        Object.assign(cursor, one.behind)
        at += 1
      }
      if (run.length === 0) return undefined
      // What was read is not kept any longer.
      for (const { record } of kept.splice(0, at)) keptBytes -= record.bytes.length
      return run
    },
  }
}
