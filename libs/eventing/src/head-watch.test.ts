import { createSilentLog } from '@postern/telemetry/testing'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { createHeadWatch } from './head-watch.ts'

/** A log whose head is what the test says. */
function watchOne() {
  const seen = { pos: 5n, epoch: 'e1', reads: 0, moves: 0, isAway: false }
  const watch = createHeadWatch({
    async readHead() {
      seen.reads += 1
      if (seen.isAway) throw new Error('the database is away')
      return { epoch: seen.epoch, pos: seen.pos }
    },
    async changeEpoch(from) {
      if (seen.epoch === from) seen.epoch = 'e2'
    },
    onMoved: () => {
      seen.moves += 1
    },
    log: createSilentLog(),
  })
  return { seen, watch }
}

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

test('a read for a lease stands for that of a beat, never the other way round', async () => {
  const { seen, watch } = watchOne()
  await watch.now()
  seen.pos = 6n
  expect(await watch.lately()).toEqual({ epoch: 'e1', pos: 5n })
  expect(seen.reads).toBe(1)
  expect(await watch.now()).toEqual({ epoch: 'e1', pos: 6n })
  expect(seen.reads).toBe(2)
})

test('who asks once a second is never told of what was a second ago', async () => {
  const { seen, watch } = watchOne()
  for (let second = 0; second < 5; second += 1) {
    seen.pos += 1n
    expect(await watch.lately()).toEqual({ epoch: 'e1', pos: seen.pos })
    await vi.advanceTimersByTimeAsync(999)
  }
})

test('whoever reads of something new, all who wait are told of it once', async () => {
  const { seen, watch } = watchOne()
  await watch.now()
  const before = seen.moves
  seen.pos = 7n
  await watch.now()
  expect(seen.moves).toBe(before + 1)
  await watch.during(
    async () => ({ epoch: 'e1', pos: 7n }),
    (head) => head,
  )
  watch.know({ epoch: 'e1', pos: 7n })
  expect(seen.moves).toBe(before + 1)
  watch.know({ epoch: 'e1', pos: 8n })
  expect(seen.moves).toBe(before + 2)
})

test('a database that went away is no head, though one was read a moment ago', async () => {
  const { seen, watch } = watchOne()
  await watch.now()
  seen.isAway = true
  await expect(watch.now()).rejects.toThrow('away')
  await vi.advanceTimersByTimeAsync(1000)
  await expect(watch.lately()).rejects.toThrow('away')
})

test('a log that goes back gets another epoch, all who wait are told, and nothing is known of before', async () => {
  const { seen, watch } = watchOne()
  await watch.now()
  const { moves } = seen
  seen.pos = 3n
  await expect(watch.now()).rejects.toThrow('restored')
  expect(seen).toMatchObject({ epoch: 'e2', moves: moves + 1 })
  expect(await watch.lately()).toEqual({ epoch: 'e2', pos: 3n })
})

test('a read that was overtaken is no log that went back', async () => {
  const { watch } = watchOne()
  const slow = watch.during(
    async () => {
      await vi.advanceTimersByTimeAsync(10)
      return { epoch: 'e1', pos: 4n }
    },
    (head) => head,
  )
  watch.know({ epoch: 'e1', pos: 6n })
  expect(await slow).toMatchObject({ pos: 4n })
})
