import type { IndexedEntry } from '../record/log-entry.ts'

const BYTES_MAX = 4 * 1024 * 1024

export type RecentEntries = ReturnType<typeof createRecentEntries>

/**
 * The entries that this process wrote last: whoever follows the log closely need not read them back.
 * Where there is a hole, or more than is kept, they are read from the database after all.
 */
export function createRecentEntries(bytesMax = BYTES_MAX) {
  let kept: IndexedEntry[] = []
  let bytes = 0

  function clear(): void {
    kept = []
    bytes = 0
  }

  return {
    /** In their order, as they stand in the log for good. */
    add(entries: readonly IndexedEntry[]): void {
      const expected = (kept.at(-1)?.index ?? -1) + 1
      if (entries[0]?.index !== expected) clear()
      for (const entry of entries) {
        if (bytes + entry.body.length > bytesMax) clear()
        kept.push(entry)
        bytes += entry.body.length
      }
    },

    /** The run that begins there, which is kept no longer; empty where it has to be read. */
    take(index: number, limit: number): readonly IndexedEntry[] {
      const first = kept[0]?.index
      if (first === undefined || index < first) return []
      const taken = kept.splice(0, index - first + limit)
      for (const { body } of taken) bytes -= body.length
      return taken.slice(index - first)
    },
  }
}
