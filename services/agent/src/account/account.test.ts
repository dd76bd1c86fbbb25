import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  type Account,
  type AccountFact,
  type AccountOrder,
  afterFact,
  isForgettable,
  isUsable,
  stepFor,
  UNKNOWN,
} from './account.ts'

const now = new Date('2026-01-01T00:00:00Z')
const later = (ms: number) => new Date(now.getTime() + ms)
const HOUR_MS = 3_600_000

function order(change: Partial<AccountOrder> = {}): AccountOrder {
  return {
    sessionId: 's1',
    version: 1,
    wanted: true,
    account: 'ptr-a-b',
    userId: 'u1',
    userName: 'alice',
    bindings: [],
    expiresAtMs: now.getTime() + HOUR_MS,
    ...change,
  }
}

const ordered = (change: Partial<AccountOrder> = {}): AccountFact => ({
  type: 'Ordered',
  order: order(change),
})
const after = (...facts: AccountFact[]): Account =>
  facts.reduce((account, fact) => afterFact(account, fact, now), UNKNOWN)

test('what is ordered is made, once', () => {
  const wanted = after(ordered())
  expect(stepFor(wanted)).toBe('make')
  expect(stepFor(after(ordered(), { type: 'Made', version: 1 }))).toBe('nothing')
  expect(after(ordered(), ordered())).toEqual(wanted)
})

test('a higher version is made again, a lower one is ignored', () => {
  const made = [ordered(), { type: 'Made', version: 1 }] as const
  expect(stepFor(after(...made, ordered({ version: 2 })))).toBe('make')
  const second = after(ordered({ version: 2 }), { type: 'Made', version: 2 })
  expect(afterFact(second, ordered({ version: 1, wanted: false }), now)).toBe(second)
})

test('what was made for a version that was replaced meanwhile is made again', () => {
  const account = after(ordered(), ordered({ version: 2 }), { type: 'Made', version: 1 })
  expect(stepFor(account)).toBe('make')
})

test.each<{ name: string; fact: AccountFact }>([
  { name: 'the session has ended', fact: ordered({ version: 2, wanted: false }) },
  { name: 'the session service did not name it', fact: { type: 'NotNamed' } },
])('an account is removed when $name, and no order brings it back', ({ fact }) => {
  const ended = after(ordered(), { type: 'Made', version: 1 }, fact)
  expect(stepFor(ended)).toBe('remove')
  expect(isUsable(ended, now)).toBe(false)
  const removed = afterFact(ended, { type: 'Removed' }, now)
  expect(stepFor(removed)).toBe('nothing')
  expect(stepFor(afterFact(removed, ordered({ version: 9 }), now))).toBe('nothing')
})

test('the moment an account expires it is over, though nobody says so', () => {
  const account = after(ordered(), { type: 'Made', version: 1 })
  expect(isUsable(account, later(HOUR_MS - 1))).toBe(true)
  expect(isUsable(account, later(HOUR_MS))).toBe(false)
  expect(stepFor(afterFact(account, { type: 'Looked' }, later(HOUR_MS)))).toBe('remove')
})

test('an order that is over when it comes is never made', () => {
  expect(stepFor(after(ordered({ expiresAtMs: now.getTime() })))).toBe('remove')
})

test('a removal whose report was lost is reported again', () => {
  const end = ordered({ version: 2, wanted: false })
  const removed = after(ordered(), end, { type: 'Removed' })
  expect(stepFor(afterFact(removed, end, now))).toBe('remove')
})

test('an account under another name is not a version of this one', () => {
  const account = after(ordered())
  expect(afterFact(account, ordered({ version: 2, account: 'ptr-other' }), now)).toBe(account)
})

test('an ended session is remembered for as long as an old order could ask for it', () => {
  const removed = after(ordered(), ordered({ version: 2, wanted: false }), { type: 'Removed' })
  expect(isForgettable(removed, later(HOUR_MS - 1))).toBe(false)
  expect(isForgettable(removed, later(HOUR_MS))).toBe(true)
})

const fact: fc.Arbitrary<AccountFact> = fc.oneof(
  fc
    .record({
      version: fc.integer({ min: 1, max: 5 }),
      wanted: fc.boolean(),
      expiresAtMs: fc.integer({ min: -2, max: 10 }).map((ms) => now.getTime() + ms),
    })
    .map((change) => ordered(change)),
  fc.integer({ min: 1, max: 5 }).map((version) => ({ type: 'Made' as const, version })),
  fc.constantFrom<AccountFact>(
    { type: 'FoundBroken' },
    { type: 'Removed' },
    { type: 'NotNamed' },
    { type: 'Looked' },
  ),
)

test('whatever is said in whatever order: over is over, and versions never go back', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fact, fc.nat({ max: 3 })), { maxLength: 30 }), (steps) => {
      let account: Account = UNKNOWN
      let at = now.getTime()
      for (const [next, passedMs] of steps) {
        at += passedMs
        const before = account
        account = afterFact(before, next, new Date(at))
        const versions = [before, account].map(versionOf)
        expect(versions[1]).toBeGreaterThanOrEqual(versions[0] ?? 0)
        expect([before.status, account.status]).not.toEqual(['unwanted', 'wanted'])
        expect(account.status === 'wanted' && account.order.expiresAtMs <= at).toBe(false)
        expect(isUsable(account, new Date(at)) && stepFor(account) === 'remove').toBe(false)
      }
    }),
    { numRuns: 3_000 },
  )
})

test('doing the step leaves nothing to do', () => {
  fc.assert(
    fc.property(fc.array(fact, { maxLength: 20 }), (facts) => {
      const account = after(...facts)
      const version = versionOf(account)
      const done = [{ type: 'Made', version } as const, { type: 'Removed' } as const].reduce(
        (state, next) => afterFact(state, next, now),
        account,
      )
      expect(stepFor(done)).toBe('nothing')
    }),
  )
})

function versionOf(account: Account): number {
  switch (account.status) {
    case 'unknown':
      return 0
    case 'wanted':
      return account.order.version
    case 'unwanted':
      return account.version
  }
}
