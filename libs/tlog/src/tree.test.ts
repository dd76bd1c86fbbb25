import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { emptyFrontier, frontierRoot, growFrontier } from './frontier.ts'
import { type Hash, leafHash, nodeHash } from './hash.ts'
import { proveConsistency, proveInclusion } from './proof.ts'
import { createMemoryLog, naive } from './testing.ts'
import { tileHashReader } from './tile.ts'
import { emptyEdge, growEdge, restoreEdge } from './tree-edge.ts'
import { verifyConsistency, verifyInclusion } from './verify-proof.ts'

// The reference tree of the Certificate Transparency implementations.
const referenceEntries = [
  '',
  '00',
  '10',
  '2021',
  '3031',
  '40414243',
  '5051525354555657',
  '606162636465666768696a6b6c6d6e6f',
].map((hex) => Buffer.from(hex, 'hex'))
const referenceRoots = [
  'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
  '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
  'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
  'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
  'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
  '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
  'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
  '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
]

const hex = (hash: Hash) => Buffer.from(hash).toString('hex')
const numbered = (count: number) =>
  Array.from({ length: count }, (_, at) => Buffer.from(`entry ${at}`))
const rootOf = (entries: readonly Uint8Array[]) =>
  frontierRoot(growFrontier(emptyFrontier, entries.map(leafHash)))

test.each(referenceRoots.map((root, size) => ({ size, root })))(
  'a tree of the first $size reference entries has the reference root',
  ({ size, root }) => {
    expect(hex(rootOf(referenceEntries.slice(0, size)))).toBe(root)
    expect(hex(naive.root(referenceEntries.slice(0, size)))).toBe(root)
  },
)

test('leaves and nodes cannot be taken for each other', () => {
  const [left, right] = [leafHash(Buffer.from('l')), leafHash(Buffer.from('r'))]
  expect(hex(leafHash(Buffer.concat([left, right])))).not.toBe(hex(nodeHash(left, right)))
})

test('an entry of more than 64 KiB is hashed whole', () => {
  const one = Buffer.alloc(100_000)
  const other = Buffer.alloc(100_000)
  other[99_999] = 1
  expect(hex(leafHash(one))).not.toBe(hex(leafHash(other)))
})

test('a hash of another length is refused instead of hashed', () => {
  expect(() => nodeHash(Buffer.alloc(31), Buffer.alloc(32))).toThrow(RangeError)
  expect(() => nodeHash(Buffer.alloc(32), Buffer.alloc(33))).toThrow(RangeError)
})

test('the frontier has the root of the whole tree at every size up to 520', () => {
  const entries = numbered(520)
  const roots: string[] = []
  let frontier = emptyFrontier
  for (const entry of entries) {
    frontier = growFrontier(frontier, [leafHash(entry)])
    roots.push(hex(frontierRoot(frontier)))
  }
  expect(roots).toEqual(entries.map((_, at) => hex(naive.root(entries.slice(0, at + 1)))))
})

test('a tree of 70,000 has the same root however it grew, and keeps few hashes', () => {
  const leaves = numbered(70_000).map(leafHash)
  let frontier = emptyFrontier
  let edge = emptyEdge
  for (let at = 0; at < leaves.length; ) {
    const batch = leaves.slice(at, at + 1 + ((at * 7) % 999))
    frontier = growFrontier(frontier, batch)
    edge = growEdge(edge, batch).edge
    at += batch.length
  }
  const whole = hex(naive.root(numbered(70_000)))
  expect(hex(frontierRoot(frontier))).toBe(whole)
  expect(hex(frontierRoot(edge.frontier))).toBe(whole)
  expect(frontier.peaks.length).toBeLessThan(18)
  // The example of C2SP tlog-tiles.
  expect(edge.open.map((hashes) => hashes.length)).toEqual([112, 17, 1])
})

test('a log that is stopped anywhere goes on from its tiles as if it had not been', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 1, max: 700 }), { minLength: 1, maxLength: 6 }),
      async (batches) => {
        const stopped = createMemoryLog()
        let edge = emptyEdge
        let size = 0
        for (const count of batches) {
          const entries = numbered(size + count).slice(size)
          edge = growEdge(edge, entries.map(leafHash)).edge
          stopped.append(entries)
          size += count
          const restored = await restoreEdge(size, stopped.readTiles)
          expect(frontierRoot(restored.frontier)).toEqual(frontierRoot(edge.frontier))
          expect(restored.frontier).toEqual(edge.frontier)
          expect(restored.open).toEqual(edge.open.slice(0, restored.open.length))
          const next = [leafHash(Buffer.from('next'))]
          expect(growEdge(restored, next).tiles).toEqual(growEdge(edge, next).tiles)
        }
      },
    ),
    { numRuns: 40 },
  )
})

describe('proofs', () => {
  const log = createMemoryLog()
  const entries = numbered(1000)
  log.append(entries)
  const rootAt = new Map<number, Hash>()
  const treeOf = (size: number) => {
    const root = rootAt.get(size) ?? rootOf(entries.slice(0, size))
    rootAt.set(size, root)
    return { size, root }
  }
  const sizes = fc.integer({ min: 1, max: 1000 })
  const reader = (size: number) => tileHashReader(size, log.readTiles)

  test('of inclusion are those of RFC 6962, and verify', async () => {
    await fc.assert(
      fc.asyncProperty(sizes, fc.nat(999), async (size, anyIndex) => {
        const index = anyIndex % size
        const proof = await proveInclusion(index, size, reader(size))
        expect(proof).toEqual(naive.path(index, entries.slice(0, size)))
        const leaf = leafHash(Buffer.from(`entry ${index}`))
        expect(verifyInclusion({ index, leaf, tree: treeOf(size), proof })).toBe(true)
      }),
    )
  })

  test('of consistency are those of RFC 6962, and verify', async () => {
    await fc.assert(
      fc.asyncProperty(sizes, sizes, async (one, other) => {
        const [oldSize, newSize] = one < other ? [one, other] : [other, one]
        const proof = await proveConsistency(oldSize, newSize, reader(newSize))
        expect(proof).toEqual(naive.proof(oldSize, entries.slice(0, newSize)))
        const claim = { old: treeOf(oldSize), new: treeOf(newSize), proof }
        expect(verifyConsistency(claim)).toBe(true)
      }),
    )
  })

  test('of inclusion do not verify when anything in them is changed', async () => {
    await fc.assert(
      fc.asyncProperty(sizes, fc.nat(999), fc.nat(), async (size, anyIndex, change) => {
        const index = anyIndex % size
        const proof = await proveInclusion(index, size, reader(size))
        const leaf = leafHash(Buffer.from(`entry ${index}`))
        const tree = treeOf(size)
        const claim = { index, leaf, tree, proof }
        for (const altered of alterations(proof, change)) {
          expect(verifyInclusion({ ...claim, proof: altered })).toBe(false)
        }
        expect(verifyInclusion({ ...claim, leaf: flipped(leaf, change) })).toBe(false)
        const otherTree = { size, root: flipped(tree.root, change) }
        expect(verifyInclusion({ ...claim, tree: otherTree })).toBe(false)
        const elsewhere = (index + 1) % size
        expect(verifyInclusion({ ...claim, index: elsewhere })).toBe(elsewhere === index)
        expect(verifyInclusion({ ...claim, index: size })).toBe(false)
        expect(verifyInclusion({ ...claim, index: -1 })).toBe(false)
        expect(verifyInclusion({ ...claim, index: index + 0.5 })).toBe(false)
      }),
    )
  })

  test('of consistency do not verify when anything in them is changed', async () => {
    await fc.assert(
      fc.asyncProperty(sizes, sizes, fc.nat(), async (one, other, change) => {
        const [oldSize, newSize] = one < other ? [one, other] : [other, one]
        const proof = await proveConsistency(oldSize, newSize, reader(newSize))
        const claim = { old: treeOf(oldSize), new: treeOf(newSize), proof }
        for (const altered of alterations(proof, change)) {
          expect(verifyConsistency({ ...claim, proof: altered })).toBe(false)
        }
        const otherOld = { size: oldSize, root: flipped(claim.old.root, change) }
        expect(verifyConsistency({ ...claim, old: otherOld })).toBe(false)
        const otherNew = { size: newSize, root: flipped(claim.new.root, change) }
        expect(verifyConsistency({ ...claim, new: otherNew })).toBe(false)
        const turned = { old: claim.new, new: claim.old, proof }
        expect(verifyConsistency(turned)).toBe(oldSize === newSize)
      }),
    )
  })

  test.each([
    { name: 'an index at the size', prove: () => proveInclusion(5, 5, reader(5)) },
    { name: 'a negative index', prove: () => proveInclusion(-1, 5, reader(5)) },
    { name: 'a size that is not whole', prove: () => proveInclusion(0, 1.5, reader(5)) },
    { name: 'a size above 2^53', prove: () => proveInclusion(0, 2 ** 53, reader(5)) },
    { name: 'an old size above the new', prove: () => proveConsistency(6, 5, reader(5)) },
  ])('are refused for $name', async ({ prove }) => {
    await expect(prove()).rejects.toThrow(RangeError)
  })
})

/** Each wrong in its own way: a flipped bit, one hash too few, one too many, two changed over. */
function alterations(proof: readonly Hash[], change: number): readonly (readonly Hash[])[] {
  const at = proof.length === 0 ? 0 : change % proof.length
  const extra = [...proof, Buffer.alloc(32)]
  const [first, second, ...rest] = proof
  const altered: (readonly Hash[])[] = [extra]
  if (first === undefined) return altered
  altered.push(proof.slice(1), proof.slice(0, -1))
  altered.push(proof.with(at, flipped(proof[at] ?? first, change)))
  altered.push(proof.with(at, (proof[at] ?? first).subarray(1)))
  if (second !== undefined && !Buffer.from(first).equals(second)) {
    altered.push([second, first, ...rest])
  }
  return altered
}

function flipped(hash: Hash, change: number): Hash {
  const copy = Buffer.from(hash)
  const at = change % copy.length
  copy[at] = (copy[at] ?? 0) ^ (1 << (change % 8))
  return copy
}

test('an edge keeps its hashes alone, and nothing of the memory that they were made in', () => {
  let edge = emptyEdge
  for (let batch = 0; batch < 700; batch += 1) {
    edge = growEdge(edge, [leafHash(Buffer.of(batch % 256)), leafHash(Buffer.of(1))]).edge
  }
  const kept = [...edge.open.flat(), ...edge.frontier.peaks]
  const memory = new Set(kept.map(({ buffer }) => buffer))
  const bytes = [...memory].reduce((sum, { byteLength }) => sum + byteLength, 0)
  expect(bytes).toBe(kept.length * 32)
})
