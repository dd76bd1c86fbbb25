import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ByteQueue } from './byte-queue.ts'

type Deed = { readonly kind: 'push' | 'take' | 'move'; readonly bytes: number }

test('whatever is pushed comes out in its order, in whatever pieces, and is its own copy', () => {
  const deed = fc.record<Deed>({
    kind: fc.constantFrom('push', 'take', 'move'),
    bytes: fc.nat(70_000),
  })
  fc.assert(
    fc.property(fc.array(deed, { maxLength: 20 }), (deeds) => {
      const queue = new ByteQueue()
      const pushed: Buffer[] = []
      const came: Buffer[] = []
      for (const [at, { kind, bytes }] of deeds.entries()) {
        if (kind === 'push') {
          const chunk = Buffer.alloc(bytes, at)
          queue.push(chunk)
          pushed.push(Buffer.from(chunk))
          chunk.fill(0xff)
        } else {
          came.push(kind === 'move' ? moved(queue, bytes) : taken(queue, bytes))
        }
      }
      const left = queue.bytes
      came.push(moved(queue, left))
      expect(queue.bytes).toBe(0)
      expect(Buffer.concat(came).equals(Buffer.concat(pushed))).toBe(true)
    }),
    { seed: Date.now() & 0x7fffffff, numRuns: 300 },
  )
})

function moved(queue: ByteQueue, bytes: number): Buffer {
  const target = Buffer.alloc(1 + Math.min(bytes, queue.bytes))
  queue.moveTo(target, 1, target.length - 1)
  return target.subarray(1)
}

function taken(queue: ByteQueue, bytesMax: number): Buffer {
  if (queue.bytes === 0) return Buffer.alloc(0)
  const first = Buffer.from(queue.first(bytesMax))
  queue.drop(first.length)
  return first
}

test('nothing is dropped that is not there, and nothing is left of what is cleared', () => {
  const queue = new ByteQueue()
  expect(() => queue.first(1)).toThrow(RangeError)
  queue.push(Buffer.of(1))
  expect(() => queue.drop(2)).toThrow(RangeError)
  expect(() => queue.moveTo(Buffer.alloc(9), 0, 2)).toThrow(RangeError)
  queue.push(Buffer.of(2))
  queue.clear()
  expect(queue.bytes).toBe(0)
})
