import { expect, test } from 'vitest'
import type { LoadRun } from '../lines/measure-loads.ts'
import type { Results } from '../results.ts'
import type { StackName } from '../stacks/stack.ts'
import { NOTHING_MEASURED } from '../testing.ts'
import { type Bar, judge } from './bar.ts'
import { addedP50, loadRatios } from './figures.ts'

const results: Results = {
  ...NOTHING_MEASURED,
  loads: [
    run('direct', 1, { p50Micros: 100 }),
    run('postern', 1, { perSecond: 200, p50Micros: 150 }),
    run('go-tunnel-2', 1, { perSecond: 100, p50Micros: 200 }),
    run('direct', 2, { p50Micros: 1_000 }),
    run('postern', 2, { perSecond: 30, p50Micros: 1_300 }),
    run('go-tunnel-2', 2, { perSecond: 10, p50Micros: 1_400 }),
    run('postern', 3, { perSecond: 1_000 }),
  ],
}

test('a ratio is that of one round: a round without the peer has none', () => {
  expect(loadRatios(results, 'get', 'go-tunnel-2', ({ perSecond }) => perSecond)).toEqual([2, 3])
})

test('what is added is compared, not what there is without any hop', () => {
  expect(addedP50(results, 'get', 'go-tunnel-2')).toEqual([0.5, 0.75])
})

test.each([
  { wanted: { atLeast: 2 }, figures: [2, 4, 3], margin: 0.5 },
  { wanted: { atLeast: 4 }, figures: [3], margin: -0.25 },
  { wanted: { atMost: 4 }, figures: [3], margin: 0.25 },
  { wanted: { atMost: 2 }, figures: [3], margin: -0.5 },
])('$figures for $wanted leaves $margin of what is wanted', ({ wanted, figures, margin }) => {
  expect(judge(barOf(wanted, figures), results).margin).toBeCloseTo(margin)
})

test('what was not measured is neither met nor missed', () => {
  const { measured, margin } = judge(barOf({ atLeast: 1 }, []), results)
  expect([measured, margin]).toEqual([undefined, undefined])
})

function barOf(wanted: Bar['wanted'], figures: readonly number[]): Bar {
  return { id: 'bar', title: 'bar', unit: 'times', wanted, figures: () => figures }
}

function run(stack: StackName, round: number, figures: Partial<LoadRun>): LoadRun {
  return {
    line: 'get',
    stack,
    round,
    requests: 1,
    seconds: 1,
    perSecond: 1,
    p50Micros: 1,
    p99Micros: 1,
    bytesPerSecond: 1,
    hopMicros: 1,
    hops: {},
    beside: {},
    hopSeconds: 1,
    foreignShare: 0,
    ...figures,
  }
}
