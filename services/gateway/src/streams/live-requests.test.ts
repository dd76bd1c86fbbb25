import { setImmediate as turn } from 'node:timers/promises'
import { resourceAttributes } from '@postern/access'
import { expect, test, vi } from 'vitest'
import { createLiveRequests, type LiveRequest, type Review } from './live-requests.ts'

const GRACE_MS = 60_000
const NOW = new Date(0)
const ENDED = 'a: Postern ended this stream: a is revoked'

function world() {
  const cuts: string[] = []
  const concluded: string[] = []
  const revoked = new Set<string>()
  const requests = createLiveRequests({
    review: ({ userId }): Review =>
      revoked.has(userId)
        ? { holds: false, why: `${userId} is revoked` }
        : { holds: true, untilMs: Number.POSITIVE_INFINITY },
    now: () => NOW,
    shortGraceMs: GRACE_MS,
    random: () => 0.5,
  })
  const live = (
    userId: string,
    sessionId: string,
    grace: 'none' | 'short' = 'short',
  ): LiveRequest => ({
    right: {
      tokenSha256: '',
      userId,
      clusterId: 'c1',
      sessionId,
      attributes: resourceAttributes({ verb: 'watch', resource: 'pods' }),
    },
    grace,
    cut: ({ message }) => void cuts.push(`${userId}: ${message}`),
    conclude: ({ message }) => void concluded.push(`${userId}: ${message}`),
  })
  return { requests, live, cuts, concluded, revoked }
}

test('a change cuts exactly what is no longer allowed, once', () => {
  const { requests, live, cuts, revoked } = world()
  for (const user of ['a', 'b', 'a']) requests.add(live(user, `s-${user}`), NOW)
  revoked.add('a')
  requests.reviewAll()
  requests.reviewAll()
  expect(cuts).toEqual([ENDED, ENDED])
  expect(requests.count).toBe(1)
  requests.close()
})

test('however many run and however often something changes, everybody is decided again, some at a time', async () => {
  const { requests, live, cuts, revoked } = world()
  const users = Array.from({ length: 1_000 }, (_, n) => `user-${n}`)
  for (const user of users) requests.add(live(user, `s-${user}`), NOW)
  requests.reviewAll()
  for (const user of users) revoked.add(user)
  // Changes that come faster than all can be decided again.
  for (let change = 0; change < 20; change += 1) {
    requests.reviewAll()
    const before = cuts.length
    await turn()
    expect(cuts.length - before).toBeLessThanOrEqual(512)
    requests.add(live(`newcomer-${change}`, 's'), NOW)
  }
  expect(requests.count).toBe(20)
  expect(cuts).toHaveLength(1_000)
  requests.close()
})

test('a right that ended between the decision and the start is cut at the start', () => {
  const { requests, live, cuts, revoked } = world()
  revoked.add('a')
  requests.add(live('a', 's1'), NOW)
  expect(cuts).toEqual([ENDED])
  requests.close()
})

test('the end of a session cuts its streams and no others', () => {
  const { requests, live, cuts } = world()
  requests.add(live('a', 's1'), NOW)
  requests.add(live('a', 's2'), NOW)
  requests.sessionEnded('s1', 'over')
  expect(cuts).toEqual(['a: over'])
  requests.close()
})

test('without the lease an exec ends at once, a watch only after its grace', () => {
  vi.useFakeTimers()
  try {
    const { requests, live, cuts } = world()
    requests.add(live('exec', 's1', 'none'), NOW)
    requests.add(live('watch', 's1'), NOW)
    requests.leaseChanged(false)
    expect(cuts).toEqual([expect.stringMatching(/^exec: /)])
    vi.advanceTimersByTime(GRACE_MS - 1)
    requests.leaseChanged(true)
    vi.advanceTimersByTime(10 * GRACE_MS)
    expect(requests.count).toBe(1)
    requests.leaseChanged(false)
    vi.advanceTimersByTime(GRACE_MS)
    expect(cuts).toEqual([expect.anything(), expect.stringMatching(/^watch: /)])
    requests.close()
  } finally {
    vi.useRealTimers()
  }
})

test('what has ended by itself is not cut', () => {
  const { requests, live, cuts, revoked } = world()
  const over = live('a', 's1')
  requests.remove(requests.add(over, NOW), over)
  revoked.add('a')
  requests.reviewAll()
  expect(cuts).toEqual([])
  requests.close()
})

test('what is carried by a tunnel that closes is concluded, spread, and only while it still runs', () => {
  vi.useFakeTimers()
  try {
    const { requests, live, concluded, cuts } = world()
    const [leaving, staying] = [{}, {}]
    requests.add({ ...live('a', 's1'), via: leaving }, NOW)
    requests.add({ ...live('b', 's1'), via: staying }, NOW)
    const over = { ...live('c', 's1'), via: leaving }
    const seat = requests.add(over, NOW)
    requests.concludeVia(leaving, 'elsewhere')
    requests.remove(seat, over)
    expect(concluded).toEqual([])
    vi.advanceTimersByTime(5_000)
    expect(concluded).toEqual(['a: elsewhere'])
    requests.concludeAll('everywhere')
    vi.advanceTimersByTime(5_000)
    expect(concluded.slice(1)).toEqual(['a: everywhere', 'b: everywhere'])
    expect(cuts).toEqual([])
    requests.close()
  } finally {
    vi.useRealTimers()
  }
})
