import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createAttemptLimits } from './attempt-limits.ts'

const start = Date.UTC(2026, 0, 1)
const after = (ms: number) => new Date(start + ms)
const refused = { reason: 'TOO_MANY_ATTEMPTS' }

function wrongAttempts(
  limits: ReturnType<typeof createAttemptLimits>,
  count: number,
  name: (index: number) => string,
) {
  for (let index = 0; index < count; index += 1) limits.begin(name(index), after(0))
}

test('after ten wrong passwords a name has to wait, whatever its case, and others need not', () => {
  const limits = createAttemptLimits()
  wrongAttempts(limits, 10, () => 'alice')
  expect(() => limits.begin('ALICE', after(29_999))).toThrow(expect.objectContaining(refused))
  expect(() => limits.begin('bob', after(29_999))).not.toThrow()
  expect(() => limits.begin('alice', after(60_000))).not.toThrow()
})

test('right passwords are not counted', () => {
  const limits = createAttemptLimits()
  for (let index = 0; index < 1000; index += 1) limits.begin('alice', after(0)).succeeded()
  expect(() => limits.begin('alice', after(0))).not.toThrow()
})

test('guessing one password for many names is limited as well', () => {
  const limits = createAttemptLimits()
  wrongAttempts(limits, 100, (index) => `user-${index}`)
  expect(() => limits.begin('alice', after(0))).toThrow(expect.objectContaining(refused))
  expect(() => limits.begin('alice', after(500))).not.toThrow()
})

test('a clock that is set back gives nobody more attempts', () => {
  const limits = createAttemptLimits({ attempts: 1, intervalMs: 1000 })
  limits.begin('alice', after(10_000))
  expect(() => limits.begin('alice', after(0))).toThrow(expect.objectContaining(refused))
  expect(() => limits.begin('alice', after(500))).toThrow(expect.objectContaining(refused))
})

test('at no time can a name have more wrong attempts than its allowance for that time', () => {
  const wait = fc.record({ waitMs: fc.nat(2000), isRight: fc.boolean() })
  fc.assert(
    fc.property(fc.array(wait, { maxLength: 100 }), (attempts) => {
      const limits = createAttemptLimits({ attempts: 3, intervalMs: 1000 })
      let elapsedMs = 0
      let wrong = 0
      for (const { waitMs, isRight } of attempts) {
        elapsedMs += waitMs
        try {
          const attempt = limits.begin('alice', after(elapsedMs))
          if (isRight) attempt.succeeded()
          else wrong += 1
        } catch {
          // Refused: not an attempt.
        }
        expect(wrong).toBeLessThanOrEqual(3 + elapsedMs / 1000)
      }
    }),
  )
})
