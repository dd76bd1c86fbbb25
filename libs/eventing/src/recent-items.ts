export type RecentItems<Item> = {
  /** The item of this number, as it is written for good. Behind a hole what was before it is forgotten. */
  add(number: number, item: Item): void
  /** The run that begins there; empty where it has to be read. It is kept no longer, nor what is before it. */
  take(number: number, limit: { readonly items: number; readonly bytes?: number }): Item[]
}

const BYTES_MAX = 4 * 1024 * 1024

/**
 * What this process wrote last to something that somebody reads in order: who keeps up with the writing need
 * not read it back. Where it is too much to keep, it is read back after all.
 */
export function createRecentItems<Item>({
  bytesOf,
  bytesMax = BYTES_MAX,
}: {
  bytesOf: (item: Item) => number
  bytesMax?: number
}): RecentItems<Item> {
  let kept: Item[] = []
  let first = 0
  let keptBytes = 0

  return {
    add(number, item) {
      const bytes = bytesOf(item)
      if (number !== first + kept.length || keptBytes + bytes > bytesMax) {
        kept = []
        first = number
        keptBytes = 0
      }
      kept.push(item)
      keptBytes += bytes
    },

    take(number, { items, bytes = Number.POSITIVE_INFINITY }) {
      const from = number - first
      if (from < 0) return []
      let end = from
      let runBytes = 0
      for (let item = kept[end]; item !== undefined; item = kept[end]) {
        runBytes += bytesOf(item)
        // One is taken whatever its size, or there would be no way on.
        if (end - from === items || (end > from && runBytes > bytes)) break
        end += 1
      }
      const gone = kept.splice(0, end)
      first += gone.length
      for (const item of gone) keptBytes -= bytesOf(item)
      return gone.slice(from)
    },
  }
}
