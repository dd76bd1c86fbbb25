import { expect, test } from 'vitest'
import { type SessionFacts, whyEnd } from './end-rules.ts'
import { END_REASONS } from './session.ts'

const now = new Date('2026-01-01T10:00:00Z')
const at = (minutes: number) => new Date(now.getTime() + minutes * 60_000)
const idle = { idleSecondsMax: 1800, hearingSince: at(-60) }
const fine: SessionFacts = {
  openedAt: at(-120),
  expiresAt: at(60),
  lastActiveAt: at(-1),
  user: 'enabled',
  clusterExists: true,
  hasAccess: true,
}

test('a session that is used, granted and young goes on', () => {
  expect(whyEnd(fine, now, idle)).toBeUndefined()
})

test.each([
  { name: 'the user is disabled', facts: { user: 'disabled' as const }, reason: 'userDisabled' },
  { name: 'the cluster is gone', facts: { clusterExists: false }, reason: 'clusterRemoved' },
  { name: 'no grant is left', facts: { hasAccess: false }, reason: 'grantEnded' },
  { name: 'its time is over', facts: { expiresAt: now }, reason: 'expired' },
  { name: 'nobody uses it', facts: { lastActiveAt: at(-30) }, reason: 'idle' },
  { name: 'nobody ever used it', facts: { lastActiveAt: undefined }, reason: 'idle' },
] as const)('a session ends when $name', ({ facts, reason }) => {
  expect(whyEnd({ ...fine, ...facts }, now, idle)).toBe(END_REASONS[reason])
})

test('a service that was away does not take the silence of that time for idleness', () => {
  const long = { ...fine, lastActiveAt: at(-100) }
  const since = (seconds: number) => ({
    ...idle,
    hearingSince: new Date(now.getTime() - seconds * 1000),
  })
  expect(whyEnd(long, now, since(0))).toBeUndefined()
  expect(whyEnd(long, now, since(44))).toBeUndefined()
  expect(whyEnd(long, now, since(45))).toBe(END_REASONS.idle)
})

test('being away saves no session from any other end', () => {
  const back = { ...idle, hearingSince: now }
  expect(whyEnd({ ...fine, expiresAt: now }, now, back)).toBe(END_REASONS.expired)
  expect(whyEnd({ ...fine, hasAccess: false }, now, back)).toBe(END_REASONS.grantEnded)
})
