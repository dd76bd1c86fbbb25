import { EMPTY_ROOT, type Hash, hashAt, hashesEqual, isHash, nodeHash } from './hash.ts'

export type TreeHead = { readonly size: number; readonly root: Hash }

/** Whether the proof shows the leaf at this index of this tree (RFC 9162, 2.1.3.2). */
export function verifyInclusion(claim: {
  index: number
  leaf: Hash
  tree: TreeHead
  proof: readonly Hash[]
}): boolean {
  const { index, leaf, tree, proof } = claim
  if (!isSize(index) || !isSize(tree.size) || index >= tree.size) return false
  if (![leaf, tree.root, ...proof].every(isHash)) return false
  let fn = index
  let sn = tree.size - 1
  let root = leaf
  for (const sibling of proof) {
    if (sn === 0) return false
    if (fn % 2 === 1 || fn === sn) {
      root = nodeHash(sibling, root)
      while (fn % 2 === 0 && fn !== 0) {
        fn /= 2
        sn = half(sn)
      }
    } else {
      root = nodeHash(root, sibling)
    }
    fn = half(fn)
    sn = half(sn)
  }
  return sn === 0 && hashesEqual(root, tree.root)
}

/** Whether the proof shows the old tree to be the beginning of the new one (RFC 9162, 2.1.4.2). */
export function verifyConsistency(claim: {
  old: TreeHead
  new: TreeHead
  proof: readonly Hash[]
}): boolean {
  const { old, new: newer, proof } = claim
  if (!isSize(old.size) || !isSize(newer.size) || old.size > newer.size) return false
  if (![old.root, newer.root, ...proof].every(isHash)) return false
  if (old.size === newer.size) return proof.length === 0 && hashesEqual(old.root, newer.root)
  if (old.size === 0) return proof.length === 0 && hashesEqual(old.root, EMPTY_ROOT)
  // An old tree of a power of two is itself the first hash of the path.
  const path = isPowerOfTwo(old.size) ? [old.root, ...proof] : proof
  if (path.length === 0) return false
  let fn = old.size - 1
  let sn = newer.size - 1
  while (fn % 2 === 1) {
    fn = half(fn)
    sn = half(sn)
  }
  let oldRoot = hashAt(path, 0)
  let newRoot = oldRoot
  for (const hash of path.slice(1)) {
    if (sn === 0) return false
    if (fn % 2 === 1 || fn === sn) {
      oldRoot = nodeHash(hash, oldRoot)
      newRoot = nodeHash(hash, newRoot)
      while (fn % 2 === 0 && fn !== 0) {
        fn /= 2
        sn = half(sn)
      }
    } else {
      newRoot = nodeHash(newRoot, hash)
    }
    fn = half(fn)
    sn = half(sn)
  }
  return sn === 0 && hashesEqual(oldRoot, old.root) && hashesEqual(newRoot, newer.root)
}

// Sizes go up to 2^53, beyond what the bit operators hold.
const half = (value: number) => Math.floor(value / 2)
const isSize = (value: number) => Number.isSafeInteger(value) && value >= 0

function isPowerOfTwo(value: number): boolean {
  let power = 1
  while (power < value) power *= 2
  return power === value
}
