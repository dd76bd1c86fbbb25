import { Rejection } from '@postern/errors'
import { createSilentLog } from '@postern/telemetry/testing'
import { expect, test } from 'vitest'
import type { AccountOrder } from './account.ts'
import { createOrderFollower } from './follow-orders.ts'

function start() {
  const said: string[] = []
  const follower = createOrderFollower<string>({
    open(signed) {
      if (signed === 'forged') throw new Rejection('ORDER_NOT_SIGNED', 'permission_denied', 'x')
      return { sessionId: signed } as AccountOrder
    },
    keeper: {
      order: ({ sessionId }) => said.push(`order ${sessionId}`),
      named: (ids) => said.push(`named ${[...ids].join()}`),
    },
    onSynced: () => said.push('synced'),
    onRefused: (reason) => said.push(`refused ${reason}`),
    log: createSilentLog(),
  })
  return { follower, said }
}

test('sessions that were not named go, once everything was said', () => {
  const { follower, said } = start()
  follower.onStart()
  follower.onOrder('s1')
  expect(follower.isSynced).toBe(false)
  follower.onSynced()
  expect(said).toEqual(['order s1', 'named s1', 'synced'])
  expect(follower.isSynced).toBe(true)
})

test('after a break nothing is concluded until everything was said anew', () => {
  const { follower, said } = start()
  follower.onStart()
  follower.onOrder('s1')
  follower.onSynced()
  follower.onLost()
  expect(follower.isSynced).toBe(false)
  follower.onStart()
  follower.onOrder('s2')
  follower.onSynced()
  expect(said.at(-2)).toBe('named s2')
})

test('where an order could not be read, no session is removed for not being named', () => {
  const { follower, said } = start()
  follower.onStart()
  follower.onOrder('forged')
  follower.onSynced()
  expect(said).toEqual(['refused ORDER_NOT_SIGNED'])
  expect(follower.isSynced).toBe(false)
})
