import { given } from '@postern/eventing/testing'
import { expect, test } from 'vitest'
import { producer } from './producer.ts'
import { producerCodec } from './producer-codec.ts'
import { producerKey } from './producer-id.ts'

const name = 'spiffe://postern.internal/gateway/g1#spool-1'
const registered = { type: 'ProducerRegistered', producer: name } as const
const context = { by: 'gateway:g1', now: new Date(0) }
const delivery = (first: bigint, stored: bigint) =>
  ({ type: 'TakeDelivery', producer: name, first, stored }) as const

test('the first delivery of a spool registers its producer', () => {
  given(producer, []).when(delivery(1n, 0n), context).emits([registered])
})

test('a delivery that follows the last one says nothing new', () => {
  given(producer, [registered]).when(delivery(11n, 10n), context).emits([])
})

test('a repeated delivery says nothing new', () => {
  given(producer, [registered]).when(delivery(3n, 10n), context).emits([])
})

test('numbers that jump are a gap: those records are lost', () => {
  given(producer, [registered])
    .when(delivery(21n, 10n), context)
    .emits([{ type: 'SpoolGapDetected', producer: name, first: 11n, last: 20n }])
})

test('a spool whose first delivery does not begin at one has lost what came before', () => {
  given(producer, [])
    .when(delivery(5n, 0n), context)
    .emits([registered, { type: 'SpoolGapDetected', producer: name, first: 1n, last: 4n }])
})

test('events come back from their messages', () => {
  const gap = { type: 'SpoolGapDetected', producer: name, first: 1n, last: 2n ** 62n } as const
  for (const event of [registered, gap]) {
    expect(producerCodec.decode(producerCodec.encode(event))).toEqual(event)
  }
})

test('a producer is the same for the same gateway and spool, and only for those', () => {
  const key = producerKey('spiffe://postern.internal/gateway/g1', 'spool-1')
  expect(key.name).toBe(name)
  expect(producerKey('spiffe://postern.internal/gateway/g1', 'spool-1')).toEqual(key)
  expect(producerKey('spiffe://postern.internal/gateway/g1', 'spool-2').id).not.toBe(key.id)
  expect(producerKey('spiffe://postern.internal/gateway/g2', 'spool-1').id).not.toBe(key.id)
})

test.each(['', 'a b', 'a#b', 'x'.repeat(65), 'ü', '../x', 'a\n'])(
  '%j is no spool id',
  (spoolId) => {
    expect(() => producerKey('spiffe://postern.internal/gateway/g1', spoolId)).toThrow(
      expect.objectContaining({ reason: 'SPOOL_ID_INVALID' }),
    )
  },
)
