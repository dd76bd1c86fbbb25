/** The perfect subtree over the leaves from `index * 2^level` up to `(index + 1) * 2^level`. */
export type Subtree = { readonly level: number; readonly index: number }

/** Leaves from `start` up to and without `end`. */
export type Range = { readonly start: number; readonly end: number }

/** Where RFC 6962 splits a tree of this size: the largest power of two below it. */
export function splitPoint(size: number): number {
  let split = 1
  while (split * 2 < size) split *= 2
  return split
}

/** The perfect subtrees that a range is made of, the largest first. Its start is aligned to them. */
export function subtreesOf({ start, end }: Range): readonly Subtree[] {
  const subtrees: Subtree[] = []
  let from = start
  while (from < end) {
    let width = 1
    let level = 0
    while (width * 2 <= end - from) {
      width *= 2
      level += 1
    }
    subtrees.push({ level, index: from / width })
    from += width
  }
  return subtrees
}

/** @throws RangeError unless it is a count that a number holds exactly */
export function checkSize(size: number, name: string): void {
  if (!Number.isSafeInteger(size) || size < 0) {
    throw new RangeError(`${name} is not a whole number from 0 to 2^53 - 1`)
  }
}
