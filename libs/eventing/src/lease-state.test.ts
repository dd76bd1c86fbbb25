import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { LogPosition } from './follower-position.ts'
import {
  isLeaseValid,
  LEASE_MS,
  type LeaseAnswer,
  type LeaseState,
  leaseAnswered,
  leaseAsked,
  NO_LEASE,
} from './lease-state.ts'

const at = (pos: bigint, epoch = 'e1'): LogPosition => ({ epoch, pos })
const answer = (head: bigint, epoch = 'e1', nonce = 'n1'): LeaseAnswer => ({ nonce, epoch, head })

/** Asked at 1000, answered at `now`. */
function renewed(given: LeaseAnswer, position: LogPosition, now = 1100) {
  return leaseAnswered(leaseAsked(NO_LEASE, 'n1', 1000), given, position, now)
}

test('a lease runs from the moment it was asked for, not from the answer', () => {
  const { lease, outcome } = renewed(answer(7n), at(7n), 2900)
  expect(outcome).toBe('granted')
  expect(isLeaseValid(lease, at(7n), 2999)).toBe(true)
  expect(isLeaseValid(lease, at(7n), 3000)).toBe(false)
})

test.each([
  { name: 'a reader that has not applied everything', given: answer(8n), outcome: 'behind' },
  { name: 'a reader of another epoch', given: answer(7n, 'e2'), outcome: 'behind' },
  { name: 'an answer without an epoch', given: answer(0n, ''), outcome: 'behind' },
  { name: 'an answer to another request', given: answer(7n, 'e1', 'n2'), outcome: 'stale' },
])('$name gets no lease', ({ given, outcome }) => {
  const result = renewed(given, at(7n))
  expect(result.outcome).toBe(outcome)
  expect(isLeaseValid(result.lease, at(7n), 1100)).toBe(false)
})

test('an empty answer gives a reader that knows nothing no lease', () => {
  const position = { epoch: '', pos: 0n }
  expect(isLeaseValid(renewed(answer(0n, ''), position).lease, position, 1100)).toBe(false)
  expect(isLeaseValid(NO_LEASE, position, 0)).toBe(false)
})

test('an answer that comes after its lease would have ended proves nothing', () => {
  expect(renewed(answer(7n), at(7n), 1000 + LEASE_MS).outcome).toBe('stale')
})

test('an answer counts once', () => {
  const { lease } = renewed(answer(7n), at(7n))
  expect(leaseAnswered(lease, answer(7n), at(7n), 1200).outcome).toBe('stale')
})

test('a state that is emptied and folded again holds no lease until it is whole', () => {
  const { lease } = renewed(answer(7n), at(7n))
  expect(isLeaseValid(lease, at(3n), 1200)).toBe(false)
  expect(isLeaseValid(lease, at(7n, 'e2'), 1200)).toBe(false)
  expect(isLeaseValid(lease, at(9n), 1200)).toBe(true)
})

test('an answer that was overtaken does not shorten a lease', () => {
  let lease = leaseAsked(NO_LEASE, 'old', 1000)
  lease = leaseAsked(lease, 'new', 1500)
  lease = leaseAnswered(lease, answer(7n, 'e1', 'new'), at(7n), 1600).lease
  lease = leaseAnswered(lease, answer(7n, 'e1', 'old'), at(7n), 1700).lease
  expect(isLeaseValid(lease, at(7n), 3400)).toBe(true)
})

test('what is remembered of requests is bounded', () => {
  let lease = NO_LEASE
  for (let index = 0; index < 1000; index += 1) lease = leaseAsked(lease, `n${index}`, 0)
  expect(lease.sent.size).toBe(32)
})

/*
 * The whole protocol in a small world, every order of things tried: a log that is revoked in, requests,
 * answers and pulls that are late, lost or out of order. One tick is a third of a lease.
 */
type Rules = {
  readonly answered: typeof leaseAnswered
  readonly valid: (lease: LeaseState, position: LogPosition, now: number) => boolean
}
type World = {
  readonly tick: number
  /** The tick at which each event was committed. */
  readonly commits: readonly number[]
  readonly applied: number
  readonly lease: LeaseState
  readonly requests: readonly string[]
  readonly answers: readonly LeaseAnswer[]
}

const TICK_MS = LEASE_MS / 3
const TICKS_MAX = 8
const REVOCATIONS_MAX = 2
const IN_FLIGHT_MAX = 2
const WORLDS_MAX = 400_000

function next(world: World, rules: Rules): World[] {
  const { tick, commits, applied, lease, requests, answers } = world
  const now = tick * TICK_MS
  const worlds: World[] = []
  if (tick < TICKS_MAX) worlds.push({ ...world, tick: tick + 1 })
  if (commits.length < REVOCATIONS_MAX) worlds.push({ ...world, commits: [...commits, tick] })
  if (applied < commits.length) worlds.push({ ...world, applied: applied + 1 })
  const nonce = String(tick)
  const isAsked = requests.includes(nonce) || answers.some((one) => one.nonce === nonce)
  if (!isAsked && requests.length + answers.length < IN_FLIGHT_MAX) {
    const asked = leaseAsked(lease, nonce, now)
    worlds.push({ ...world, lease: asked, requests: [...requests, nonce] })
  }
  for (const request of requests) {
    const rest = requests.filter((other) => other !== request)
    const answer = { nonce: request, epoch: 'e', head: BigInt(commits.length) }
    worlds.push({ ...world, requests: rest, answers: [...answers, answer] })
    worlds.push({ ...world, requests: rest })
  }
  for (const one of answers) {
    const rest = answers.filter((other) => other !== one)
    const position = { epoch: 'e', pos: BigInt(applied) }
    const { lease: after } = rules.answered(lease, one, position, now)
    worlds.push({ ...world, answers: rest, lease: after }, { ...world, answers: rest })
  }
  return worlds
}

/** Equal for worlds in which the same can still happen. */
function keyOf({ tick, commits, applied, lease, requests, answers }: World): string {
  const waiting = answers.map(({ nonce, head }) => `${nonce}:${head}`).sort()
  const until = lease.until > tick * TICK_MS ? `${lease.until}:${lease.head}` : ''
  return [tick, commits, applied, until, [...requests].sort(), waiting].join('|')
}

/** A world in which a revocation is older than a lease, not applied, and the lease holds. */
function search(rules: Rules): { violation: World | undefined; worlds: number } {
  const first = { tick: 1, commits: [], applied: 0, lease: NO_LEASE, requests: [], answers: [] }
  const seen = new Set<string>([])
  const open: World[] = [first]
  for (let world = open.pop(); world !== undefined; world = open.pop()) {
    const { tick, commits, applied, lease } = world
    const now = tick * TICK_MS
    const missing = commits[applied]
    const isOld = missing !== undefined && (tick - missing) * TICK_MS >= LEASE_MS
    if (isOld && rules.valid(lease, { epoch: 'e', pos: BigInt(applied) }, now)) {
      return { violation: world, worlds: seen.size }
    }
    for (const following of next(world, rules)) {
      const key = keyOf(following)
      if (seen.has(key)) continue
      seen.add(key)
      open.push(following)
    }
    if (seen.size > WORLDS_MAX) throw new Error('the world is too large to try everything')
  }
  return { violation: undefined, worlds: seen.size }
}

describe('in every order of revocations, requests, answers, losses and pulls', () => {
  test('a lease never outlives a revocation that it does not know by more than its length', () => {
    const { violation, worlds } = search({ answered: leaseAnswered, valid: isLeaseValid })
    expect(violation).toBeUndefined()
    expect(worlds).toBeGreaterThan(100_000)
  })

  test('the search finds the fault of a lease that runs from the answer', () => {
    const fromAnswer: typeof leaseAnswered = (lease, given, position, now) => {
      const result = leaseAnswered(lease, given, position, now)
      if (result.outcome !== 'granted') return result
      return { ...result, lease: { ...result.lease, until: now + LEASE_MS } }
    }
    expect(search({ answered: fromAnswer, valid: isLeaseValid }).violation).toBeDefined()
  })

  test('the search finds the fault of a bare heartbeat, which knows no position', () => {
    const heartbeat: typeof leaseAnswered = (lease, given, position, now) =>
      leaseAnswered(lease, { ...given, head: 0n }, position, now)
    expect(search({ answered: heartbeat, valid: isLeaseValid }).violation).toBeDefined()
  })

  test('the search finds the fault of a lease that is trusted for longer', () => {
    const longer: Rules['valid'] = (lease, position, now) =>
      isLeaseValid(lease, position, now - 3 * TICK_MS)
    expect(search({ answered: leaseAnswered, valid: longer }).violation).toBeDefined()
  })
})

test('with any times, delays and epochs, a lease knows everything older than its length', () => {
  const step = fc.oneof(
    fc.record({ type: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: 1500 }) }),
    fc.record({ type: fc.constant('commit' as const) }),
    fc.record({ type: fc.constant('restore' as const) }),
    fc.record({ type: fc.constant('ask' as const) }),
    fc.record({ type: fc.constant('serve' as const), which: fc.nat() }),
    fc.record({ type: fc.constant('deliver' as const), which: fc.nat() }),
    fc.record({ type: fc.constant('pull' as const) }),
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      let now = 1
      let epoch = 1
      let commits: number[] = []
      let position = { epoch: '', pos: 0n }
      let lease = NO_LEASE
      let nonces = 0
      const requests: string[] = []
      const answers: LeaseAnswer[] = []
      /** When the log was restored last: what a reader of the older epoch knows has no meaning. */
      let restoredAt = 0
      for (const one of steps) {
        if (one.type === 'wait') now += one.ms
        if (one.type === 'commit') commits.push(now)
        if (one.type === 'restore') {
          epoch += 1
          commits = commits.slice(0, -1)
          restoredAt = now
        }
        if (one.type === 'ask') {
          nonces += 1
          lease = leaseAsked(lease, String(nonces), now)
          requests.push(String(nonces))
        }
        if (one.type === 'serve') {
          const [nonce] = requests.splice(one.which % Math.max(1, requests.length), 1)
          if (nonce) answers.push({ nonce, epoch: `e${epoch}`, head: BigInt(commits.length) })
        }
        if (one.type === 'deliver') {
          const [given] = answers.splice(one.which % Math.max(1, answers.length), 1)
          if (given) lease = leaseAnswered(lease, given, position, now).lease
        }
        if (one.type === 'pull') position = { epoch: `e${epoch}`, pos: BigInt(commits.length) }
        if (!isLeaseValid(lease, position, now)) continue
        const unknownSince =
          position.epoch === `e${epoch}` ? commits[Number(position.pos)] : restoredAt
        expect(now - (unknownSince ?? now)).toBeLessThan(LEASE_MS)
      }
    }),
    { numRuns: 3000 },
  )
})
