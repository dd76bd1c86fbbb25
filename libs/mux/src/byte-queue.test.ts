import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ByteQueue } from './byte-queue.ts'

test('whatever is pushed comes out in its order, in whatever pieces, and is its own copy', () => {
  const deed = fc.oneof(
    fc.record({ push: fc.nat(70_000) }),
    fc.record({ take: fc.nat(50_000) }),
    fc.record({ move: fc.nat(50_000) }),
  )
  fc.assert(
    fc.property(fc.array(deed, { maxLength: 20 }), (deeds) => {
      const queue = new ByteQueue()
      let model = Buffer.alloc(0)
      for (const [at, each] of deeds.entries()) {
        if ('push' in each) {
          const bytes = Buffer.alloc(each.push, at)
          queue.push(bytes)
          model = Buffer.concat([model, bytes])
          bytes.fill(0xff)
        } else if ('move' in each) {
          const length = Math.min(each.move, model.length)
          const target = Buffer.alloc(length + 1)
          queue.moveTo(target, 1, length)
          expect(target.subarray(1).equals(model.subarray(0, length))).toBe(true)
          model = model.subarray(length)
        } else if (model.length > 0) {
          const first = queue.first(each.take)
          expect(first.length).toBeLessThanOrEqual(each.take)
          expect(first.equals(model.subarray(0, first.length))).toBe(true)
          queue.drop(first.length)
          model = model.subarray(first.length)
        }
        expect(queue.bytes).toBe(model.length)
      }
      queue.clear()
      expect(queue.bytes).toBe(0)
    }),
    { seed: Date.now() & 0x7fffffff, numRuns: 300 },
  )
})

test('nothing is dropped that is not there', () => {
  const queue = new ByteQueue()
  expect(() => queue.first(1)).toThrow(RangeError)
  queue.push(Buffer.of(1))
  expect(() => queue.drop(2)).toThrow(RangeError)
  expect(() => queue.moveTo(Buffer.alloc(9), 0, 2)).toThrow(RangeError)
})
