import { hash } from 'node:crypto'

/** 32 bytes: SHA-256, as all hashes of the log. */
export type Hash = Uint8Array

export const HASH_BYTES = 32

const SCRATCH_BYTES = 64 * 1024
const scratch = Buffer.alloc(1 + SCRATCH_BYTES)

// As a text first: a digest that Node answers as a buffer has memory of its own, which costs as much as the hash.
const sha256 = (data: Uint8Array): Hash => Buffer.from(hash('sha256', data, 'binary'), 'latin1')

/** Root of the empty tree (RFC 6962, 2.1): the hash of nothing. */
export const EMPTY_ROOT: Hash = sha256(new Uint8Array())

/** Hash of an entry (RFC 6962, 2.1). The prefix keeps leaves and nodes apart. */
export function leafHash(entry: Uint8Array): Hash {
  const input = entry.length > SCRATCH_BYTES ? Buffer.alloc(1 + entry.length) : scratch
  input[0] = 0
  input.set(entry, 1)
  return sha256(input.subarray(0, 1 + entry.length))
}

/** Hash of an inner node (RFC 6962, 2.1). */
export function nodeHash(left: Hash, right: Hash): Hash {
  if (!isHash(left) || !isHash(right)) throw new RangeError('a hash has 32 bytes')
  scratch[0] = 1
  scratch.set(left, 1)
  scratch.set(right, 1 + HASH_BYTES)
  return sha256(scratch.subarray(0, 1 + 2 * HASH_BYTES))
}

export function isHash(bytes: Uint8Array): boolean {
  return bytes.length === HASH_BYTES
}

/** The same hashes in memory of their own, for who keeps them: as parts of a pool each would keep 64 KiB of it. */
export function packed(hashes: readonly Hash[]): readonly Hash[] {
  const bytes = new Uint8Array(hashes.length * HASH_BYTES)
  return hashes.map((hash, at) => {
    const start = at * HASH_BYTES
    bytes.set(hash, start)
    return bytes.subarray(start, start + HASH_BYTES)
  })
}

export function hashesEqual(one: Hash, other: Hash): boolean {
  return Buffer.compare(one, other) === 0
}

/** Root over the hashes of a perfect subtree's children; their number is a power of two. */
export function perfectRoot(hashes: readonly Hash[]): Hash {
  let row = hashes
  while (row.length > 1) {
    const above: Hash[] = []
    for (let at = 0; at < row.length; at += 2) {
      above.push(nodeHash(hashAt(row, at), hashAt(row, at + 1)))
    }
    row = above
  }
  return hashAt(row, 0)
}

export function hashAt(hashes: readonly Hash[], at: number): Hash {
  const found = hashes[at]
  if (found === undefined) throw new RangeError(`there is no hash ${at} among ${hashes.length}`)
  return found
}
