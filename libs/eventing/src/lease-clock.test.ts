import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createLeaseClock } from './lease-clock.ts'

test('it counts a suspension that the monotonic clock slept through', () => {
  const times = { monotonic: 0, wall: 1000 }
  const now = createLeaseClock({ monotonic: () => times.monotonic, wall: () => times.wall })
  const before = now()
  times.wall += 60_000
  expect(now() - before).toBe(60_000)
})

test('it never goes back, and never runs slower than either of its sources, whatever they do', () => {
  const step = fc.record({
    monotonic: fc.integer({ min: 0, max: 1000 }),
    wall: fc.integer({ min: -5000, max: 5000 }),
  })
  fc.assert(
    fc.property(fc.array(step), (steps) => {
      const times = { monotonic: 0, wall: 0 }
      const now = createLeaseClock({ monotonic: () => times.monotonic, wall: () => times.wall })
      const first = now()
      let last = first
      for (const { monotonic, wall } of steps) {
        times.monotonic += monotonic
        times.wall += wall
        const next = now()
        expect(next - last).toBe(Math.max(monotonic, wall))
        last = next
      }
      expect(last - first).toBeGreaterThanOrEqual(times.monotonic)
      expect(last - first).toBeGreaterThanOrEqual(times.wall)
    }),
  )
})
