import { expect, test } from 'vitest'
import { needOf } from './model.ts'
import type { Point, ScaleRun } from './scale-run.ts'

const run: ScaleRun = {
  users: 100,
  clusters: 10,
  watchesPerSession: 2,
  joining: [point(0, 0, 1_000), point(10, 0, 1_500)],
  opening: [point(10, 0, 1_500), point(10, 100, 2_500)],
  bytesPerCluster: { gateway: 50, relay: -7 },
  bytesPerSession: { gateway: 10 },
  cpuMicrosPerSession: {},
  sessionsPerSecond: 10,
  idleEmpty: { gateway: 0.01 },
  idleJoined: { gateway: 0.02 },
  idleShare: { gateway: 0.12 },
  changeMicros: {},
  eventP50Micros: 1,
  eventAllP50Micros: 1,
  eventHopMicros: 1,
  endedBy: 'everything is open',
}

test('for what was measured the model says what was measured', () => {
  const { bytes, processors } = needOf(run, 'gateway', { clusters: 10, sessions: 100 })
  expect(bytes).toBe(2_500)
  expect(processors).toBeCloseTo(0.12)
})

test('ten times as much of everything adds ten times as much to what an empty installation needs', () => {
  const { bytes, processors } = needOf(run, 'gateway', { clusters: 100, sessions: 1_000 })
  expect(bytes).toBe(1_000 + 5_000 + 10_000)
  expect(processors).toBeCloseTo(0.01 + 0.1 + 1)
})

test('nothing needs less for there being more', () => {
  expect(needOf(run, 'relay', { clusters: 1_000, sessions: 1_000 }).bytes).toBe(0)
})

function point(clusters: number, sessions: number, gateway: number): Point {
  return { clusters, sessions, bytes: { gateway }, cpuSeconds: {}, atSeconds: 0 }
}
