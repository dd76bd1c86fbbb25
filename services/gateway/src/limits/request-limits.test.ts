import { expect, test } from 'vitest'
import { createRequestLimiter } from './request-limits.ts'

const limits = {
  running: 3,
  shortPerUser: 2,
  streamsPerUser: 1,
  perSecondPerUser: 1,
  burstPerUser: 4,
}
const refusedBy = (answer: object) => ('refused' in answer ? answer.refused : 'none')

test('a user may do so much at once, and what has ended counts no more', () => {
  const limiter = createRequestLimiter(limits)
  const first = limiter.admit('a', 'short', 0)
  limiter.admit('a', 'short', 0)
  expect(refusedBy(limiter.admit('a', 'short', 0))).toBe('user-concurrency')
  if ('release' in first) {
    first.release()
    first.release()
  }
  expect(refusedBy(limiter.admit('a', 'short', 0))).toBe('none')
  expect(limiter.running).toBe(2)
})

test('a user may begin so much in a time; another user and discovery are not touched by it', () => {
  const limiter = createRequestLimiter({ ...limits, running: 100, shortPerUser: 100 })
  for (let count = 0; count < 4; count += 1) limiter.admit('a', 'short', 0)
  expect(refusedBy(limiter.admit('a', 'short', 0))).toBe('user-rate')
  expect(refusedBy(limiter.admit('a', 'discovery', 0))).toBe('none')
  expect(refusedBy(limiter.admit('b', 'short', 0))).toBe('none')
  expect(refusedBy(limiter.admit('a', 'short', 1_000))).toBe('none')
})

test('the gateway takes so much and no more', () => {
  const limiter = createRequestLimiter(limits)
  for (const user of ['a', 'b', 'c']) limiter.admit(user, 'stream', 0)
  expect(refusedBy(limiter.admit('d', 'short', 0))).toBe('gateway-full')
})

test('however many others come, a user who has spent what there is gets it back by time alone', () => {
  const limiter = createRequestLimiter({ ...limits, running: 100_000, shortPerUser: 100 })
  for (let count = 0; count < 4; count += 1) {
    const admission = limiter.admit('a', 'short', 0)
    if ('release' in admission) admission.release()
  }
  for (let other = 0; other < 20_000; other += 1) limiter.admit(`other-${other}`, 'short', 0)
  expect(refusedBy(limiter.admit('a', 'short', 0))).toBe('user-rate')
  expect(refusedBy(limiter.admit('a', 'short', 1_000))).toBe('none')
})
