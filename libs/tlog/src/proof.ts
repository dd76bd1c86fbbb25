import { foldPeaks } from './frontier.ts'
import { type Hash, hashAt } from './hash.ts'
import { checkSize, type Range, type Subtree, splitPoint, subtreesOf } from './subtree.ts'

/** Answers the hashes of perfect subtrees, in the order asked for. */
export type HashReader = (subtrees: readonly Subtree[]) => Promise<readonly Hash[]>

/**
 * Proves that the leaf lies at this index in the tree of this size (RFC 6962, 2.1.1).
 *
 * @throws RangeError when there is no such leaf
 */
export async function proveInclusion(
  index: number,
  size: number,
  readHashes: HashReader,
): Promise<readonly Hash[]> {
  checkSize(index, 'the index')
  checkSize(size, 'the tree size')
  if (index >= size) throw new RangeError(`a tree of ${size} has no leaf ${index}`)
  return await readRanges(inclusionRanges(index, { start: 0, end: size }), readHashes)
}

/**
 * Proves that the tree of the old size is the beginning of the one of the new size (RFC 6962, 2.1.2).
 *
 * @throws RangeError unless 0 <= old size <= new size
 */
export async function proveConsistency(
  oldSize: number,
  newSize: number,
  readHashes: HashReader,
): Promise<readonly Hash[]> {
  checkSize(oldSize, 'the old size')
  checkSize(newSize, 'the new size')
  if (oldSize > newSize) throw new RangeError(`the old size ${oldSize} is above ${newSize}`)
  if (oldSize === 0 || oldSize === newSize) return []
  return await readRanges(consistencyRanges(oldSize, newSize), readHashes)
}

function inclusionRanges(index: number, whole: Range): readonly Range[] {
  const ranges: Range[] = []
  let { start, end } = whole
  while (end - start > 1) {
    const middle = start + splitPoint(end - start)
    if (index < middle) {
      ranges.push({ start: middle, end })
      end = middle
    } else {
      ranges.push({ start, end: middle })
      start = middle
    }
  }
  return ranges.toReversed()
}

function consistencyRanges(oldSize: number, newSize: number): readonly Range[] {
  const ranges: Range[] = []
  let start = 0
  let end = newSize
  while (oldSize < end) {
    const middle = start + splitPoint(end - start)
    if (oldSize <= middle) {
      ranges.push({ start: middle, end })
      end = middle
    } else {
      ranges.push({ start, end: middle })
      start = middle
    }
  }
  // The old tree's own root is what the verifier holds already.
  if (start > 0) ranges.push({ start, end })
  return ranges.toReversed()
}

async function readRanges(
  ranges: readonly Range[],
  readHashes: HashReader,
): Promise<readonly Hash[]> {
  const parts = ranges.map(subtreesOf)
  const hashes = await readHashes(parts.flat())
  let at = 0
  return parts.map((part) => {
    const peaks = part.map((_, offset) => hashAt(hashes, at + offset))
    at += part.length
    return foldPeaks(peaks)
  })
}
