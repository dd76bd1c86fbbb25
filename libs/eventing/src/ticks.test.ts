import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { everyTick, untilTick } from './ticks.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => {
  vi.restoreAllMocks()
  vi.useRealTimers()
})

test('whenever they begin, all that wait for the same ticks are called together', async () => {
  const calledAt: number[][] = [[], [], []]
  const ends: (() => void)[] = []
  for (const times of calledAt) {
    ends.push(everyTick(50, () => times.push(performance.now())))
    await vi.advanceTimersByTimeAsync(17)
  }
  await vi.advanceTimersByTimeAsync(200 - 51)
  expect(calledAt).toEqual([
    [50, 100, 150, 200],
    [50, 100, 150, 200],
    [50, 100, 150, 200],
  ])
  for (const end of ends) end()
  await vi.advanceTimersByTimeAsync(1000)
  expect(calledAt.flat()).toHaveLength(12)
})

test('after a standstill there is one tick, not one for each that was missed', async () => {
  const fake = performance.now.bind(performance)
  let stoodStillMs = 0
  vi.spyOn(performance, 'now').mockImplementation(() => fake() + stoodStillMs)
  const calledAt: number[] = []
  const end = everyTick(50, () => calledAt.push(performance.now()))
  await vi.advanceTimersByTimeAsync(60)
  stoodStillMs = 180
  await vi.advanceTimersByTimeAsync(110)
  expect(calledAt).toEqual([50, 280, 300, 350])
  end()
})

test('who stands still while the timer is set is called at once', () => {
  const setTimer = vi.spyOn(globalThis, 'setTimeout')
  vi.spyOn(performance, 'now').mockReturnValueOnce(40).mockReturnValue(75)
  const end = everyTick(50, () => undefined)
  expect(setTimer.mock.calls.map(([, ms]) => ms)).toEqual([0])
  end()
})

test('one that ends twice ends no other that waits for the same ticks', async () => {
  const calledAt: number[] = []
  const end = everyTick(50, () => undefined)
  end()
  const endOther = everyTick(50, () => calledAt.push(performance.now()))
  end()
  await vi.advanceTimersByTimeAsync(100)
  expect(calledAt).toEqual([50, 100])
  endOther()
})

test('who waits for each next tick, by a timer that comes early, waits for each once', () => {
  const now = vi.spyOn(performance, 'now')
  const untilAt = (at: number) => {
    now.mockReturnValue(at)
    return untilTick(1000)
  }
  expect(untilAt(1000)).toBe(1000)
  expect(untilAt(1300.5)).toBe(700)
  expect(untilAt(1999.4)).toBe(1001)
  expect(untilAt(2000.2)).toBe(1000)
})
