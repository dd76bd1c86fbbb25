import { expect, test } from 'vitest'
import { slopeOf, spreadOf } from './statistics.ts'

test.each([
  { figures: [5], median: 5 },
  { figures: [9, 1, 2], median: 2 },
  { figures: [4, 1, 3, 2], median: 2.5 },
])('half of $figures lie above $median', ({ figures, median }) => {
  const [min, max] = [Math.min(...figures), Math.max(...figures)]
  expect(spreadOf(figures)).toEqual({ median, min, max })
})

test('nothing measured is no figure', () => {
  expect(() => spreadOf([])).toThrow('no figure was measured')
})

test('the slope is what one more adds, wherever it began', () => {
  expect(slopeOf([0, 1, 2, 5].map((x) => [x, 100 + 3 * x]))).toBeCloseTo(3)
})

test('points beside the line pull it to neither side when they lie evenly', () => {
  expect(
    slopeOf([
      [0, 1],
      [0, -1],
      [10, 21],
      [10, 19],
    ]),
  ).toBeCloseTo(2)
})
