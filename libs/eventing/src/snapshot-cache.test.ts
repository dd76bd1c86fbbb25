import { expect, test } from 'vitest'
import { createSnapshotCache } from './snapshot-cache.ts'

const decider = { initial: 0 }
const snapshot = (state: number, version = 100) => ({ epoch: 'e', state, version, pos: 1n })

test('a state is kept under the decider that folded it', () => {
  const cache = createSnapshotCache()
  cache.put(decider, 'group-a', snapshot(7))
  expect(cache.get(decider, 'group-a')?.state).toBe(7)
  expect(cache.get({ initial: 0 }, 'group-a')).toBeUndefined()
  cache.drop(decider, 'group-a')
  expect(cache.get(decider, 'group-a')).toBeUndefined()
})

test('short streams are not kept, and of long ones only so many', () => {
  const cache = createSnapshotCache()
  cache.put(decider, 'group-short', snapshot(1, 3))
  expect(cache.get(decider, 'group-short')).toBeUndefined()
  for (let index = 0; index <= 1000; index += 1)
    cache.put(decider, `group-${index}`, snapshot(index))
  expect(cache.get(decider, 'group-0')).toBeUndefined()
  expect(cache.get(decider, 'group-1')?.state).toBe(1)
  expect(cache.get(decider, 'group-1000')?.state).toBe(1000)
})
