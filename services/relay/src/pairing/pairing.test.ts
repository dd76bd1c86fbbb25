import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createPairings, type Side } from './pairing.ts'

const limits = { pairsWaitingMax: 4, pairsWaitingPerGatewayMax: 2, pairMs: 1000 }

test('the two ends of a number are joined, in either order', () => {
  for (const [first, second] of [
    ['gateway', 'agent'],
    ['agent', 'gateway'],
  ] as const) {
    const pairings = createPairings<string>(limits)
    pairings.offer('n', 'g', 0)
    expect(pairings.claim('n', first, 'first', 10)).toEqual({ outcome: 'waiting' })
    expect(pairings.claim('n', second, 'second', 20)).toEqual({ outcome: 'paired', other: 'first' })
    expect(pairings.waiting).toBe(0)
  }
})

describe('refused is', () => {
  test('a number that was never given out', () => {
    const pairings = createPairings<string>(limits)
    expect(pairings.claim('n', 'agent', 'x', 0).outcome).toBe('refused')
  })
  test('a number at the end of its time', () => {
    const pairings = createPairings<string>(limits)
    pairings.offer('n', 'g', 0)
    expect(pairings.claim('n', 'agent', 'x', 1000).outcome).toBe('refused')
  })
  test('a second claim of the same end', () => {
    const pairings = createPairings<string>(limits)
    pairings.offer('n', 'g', 0)
    pairings.claim('n', 'agent', 'x', 0)
    expect(pairings.claim('n', 'agent', 'thief', 0).outcome).toBe('refused')
    expect(pairings.claim('n', 'gateway', 'y', 0)).toEqual({ outcome: 'paired', other: 'x' })
  })
  test('a number whose waiting end has left', () => {
    const pairings = createPairings<string>(limits)
    pairings.offer('n', 'g', 0)
    pairings.claim('n', 'agent', 'x', 0)
    pairings.abandon('n', 'x')
    expect(pairings.claim('n', 'gateway', 'y', 0).outcome).toBe('refused')
  })
})

test('expiry answers who waited in vain, and makes room', () => {
  const pairings = createPairings<string>(limits)
  pairings.offer('a', 'g', 0)
  pairings.offer('b', 'g', 500)
  pairings.claim('a', 'agent', 'x', 10)
  expect(pairings.offer('c', 'g', 600)).toBe(false)
  expect(pairings.expire(1000)).toEqual(['x'])
  expect(pairings.offer('c', 'g', 1000)).toBe(true)
})

test('no gateway and not all together have more numbers than allowed', () => {
  const pairings = createPairings<string>(limits)
  const offers = ['g1', 'g1', 'g1', 'g2', 'g2', 'g3'].map((gateway, index) =>
    pairings.offer(`n${index}`, gateway, 0),
  )
  expect(offers).toEqual([true, true, false, true, true, false])
})

test('whatever happens, a number joins at most one of each side, and only in its time', () => {
  const step = fc.oneof(
    fc.record({ do: fc.constant('offer' as const), number: fc.nat({ max: 5 }) }),
    fc.record({
      do: fc.constant('claim' as const),
      number: fc.nat({ max: 5 }),
      side: fc.constantFrom<Side>('agent', 'gateway'),
    }),
    fc.record({ do: fc.constant('wait' as const), ms: fc.nat({ max: 700 }) }),
    fc.record({ do: fc.constant('expire' as const) }),
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const pairings = createPairings<{ side: Side; offered: number }>(limits)
      const offeredAt = new Map<number, number>()
      const joined = new Set<object>()
      let now = 0
      let outstanding = 0
      for (const action of steps) {
        if (action.do === 'wait') now += action.ms
        else if (action.do === 'expire') pairings.expire(now)
        else if (action.do === 'offer') {
          if (pairings.offer(String(action.number), 'g', now)) offeredAt.set(action.number, now)
        } else {
          const offered = offeredAt.get(action.number) ?? Number.NEGATIVE_INFINITY
          const mine = { side: action.side, offered }
          const claim = pairings.claim(String(action.number), action.side, mine, now)
          const inTime = now < offered + limits.pairMs
          if (claim.outcome !== 'refused' && !inTime) outstanding = -1
          if (claim.outcome === 'paired') {
            const fits = claim.other.side !== action.side && claim.other.offered === offered
            if (!fits || joined.has(claim.other)) outstanding = -1
            joined.add(claim.other).add(mine)
          }
        }
      }
      expect(outstanding).toBe(0)
      expect(pairings.waiting).toBeLessThanOrEqual(limits.pairsWaitingPerGatewayMax)
    }),
  )
})
