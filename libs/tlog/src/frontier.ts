import { EMPTY_ROOT, type Hash, hashAt, nodeHash } from './hash.ts'

/**
 * The right edge of a tree: the roots of the perfect subtrees that its size is the sum of, the
 * largest first. Enough to append and to know the root; 20 hashes for a million leaves.
 */
export type Frontier = { readonly size: number; readonly peaks: readonly Hash[] }

export const emptyFrontier: Frontier = { size: 0, peaks: [] }

export function growFrontier(frontier: Frontier, leafHashes: readonly Hash[]): Frontier {
  const peaks = [...frontier.peaks]
  let { size } = frontier
  for (const leaf of leafHashes) {
    let peak = leaf
    for (let rest = size; rest % 2 === 1; rest = (rest - 1) / 2) {
      peak = nodeHash(hashAt(peaks, peaks.length - 1), peak)
      peaks.pop()
    }
    peaks.push(peak)
    size += 1
  }
  return { size, peaks }
}

export function frontierRoot({ peaks }: Frontier): Hash {
  return peaks.length === 0 ? EMPTY_ROOT : foldPeaks(peaks)
}

/** Root over adjoining perfect subtrees of falling size (RFC 6962, 2.1). */
export function foldPeaks(peaks: readonly Hash[]): Hash {
  let root = hashAt(peaks, peaks.length - 1)
  for (let at = peaks.length - 2; at >= 0; at -= 1) root = nodeHash(hashAt(peaks, at), root)
  return root
}
