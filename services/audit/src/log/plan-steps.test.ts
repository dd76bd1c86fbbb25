import fc from 'fast-check'
import { expect, test } from 'vitest'
import { producerKey } from '../producer/producer-id.ts'
import { planSteps } from './log-writer.ts'

const gateways = ['a', 'b', 'c'].map((id) => producerKey(`spiffe://test/gateway/${id}`, 's'))
const actor = { by: 'gateway:a', cause: 'test' }
const [one, two] = gateways

const delivery = (
  producer: (typeof gateways)[number] | undefined,
  first: number,
  count: number,
) => {
  if (producer === undefined) throw new Error('no such producer')
  return { producer, first: BigInt(first), records: Array(count).fill(Buffer.of(1)), actor }
}
const known = (stored: bigint) => ({ registered: true, stored })

test('deliveries that follow what is stored share one transaction', () => {
  const states = new Map([
    [one?.id ?? '', known(10n)],
    [two?.id ?? '', known(0n)],
  ])
  const deliveries = [delivery(one, 11, 5), delivery(two, 1, 3), delivery(one, 16, 2)]
  const steps = planSteps(deliveries, states)
  expect(steps).toHaveLength(1)
  expect(steps[0]?.stored).toEqual([15n, 3n, 17n])
  expect(steps[0]?.expected).toEqual(
    new Map([
      [one?.id, 10n],
      [two?.id, 0n],
    ]),
  )
})

test('a new producer and a gap have a transaction of their own, in their place', () => {
  const states = new Map([[one?.id ?? '', known(10n)]])
  const deliveries = [delivery(one, 11, 1), delivery(two, 1, 1), delivery(one, 20, 1)]
  const steps = planSteps(deliveries, states)
  expect(steps.map(({ eventful }) => eventful !== undefined)).toEqual([false, true, true])
  expect(steps.map(({ stored }) => stored)).toEqual([[11n], [1n], [20n]])
  expect(steps[2]?.eventful?.stored).toBe(11n)
})

test('a repeated delivery lowers nothing', () => {
  const steps = planSteps([delivery(one, 3, 2)], new Map([[one?.id ?? '', known(10n)]]))
  expect(steps[0]?.stored).toEqual([10n])
})

test('every delivery is planned once, in order, and nobody is acknowledged less than before', () => {
  const deliveries = fc.array(
    fc
      .tuple(fc.nat(2), fc.integer({ min: 1, max: 30 }), fc.integer({ min: 1, max: 9 }))
      .map(([at, first, count]) => delivery(gateways[at], first, count)),
    { minLength: 1, maxLength: 12 },
  )
  fc.assert(
    fc.property(deliveries, (batch) => {
      const steps = planSteps(batch, new Map([[one?.id ?? '', known(5n)]]))
      expect(steps.flatMap((step) => step.deliveries)).toEqual(batch)
      const stored = steps.flatMap((step) => step.stored)
      const highest = new Map([[one?.id ?? '', 5n]])
      for (const [at, { producer, first, records }] of batch.entries()) {
        const before = highest.get(producer.id) ?? 0n
        const last = first + BigInt(records.length) - 1n
        expect(stored[at]).toBe(last > before ? last : before)
        highest.set(producer.id, stored[at] ?? 0n)
      }
    }),
  )
})
