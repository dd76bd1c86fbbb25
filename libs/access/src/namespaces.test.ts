import fc from 'fast-check'
import { expect, test } from 'vitest'
import { compileNamespaces, reaches } from './namespaces.ts'

const nowhere = new Map<string, Record<string, string>>()
const matches = (glob: string, name: string) =>
  reaches(compileNamespaces({ all: false, names: [glob] }), name, nowhere)

test('a glob matches as if each "*" stood for any run of characters', () => {
  const text = fc.string({ unit: fc.constantFrom('a', 'b', '-'), maxLength: 8, minLength: 1 })
  const glob = fc.string({ unit: fc.constantFrom('a', 'b', '-', '*'), maxLength: 6, minLength: 1 })
  fc.assert(
    fc.property(glob, text, (pattern, name) => {
      const expected = new RegExp(`^${pattern.replaceAll('*', '.*')}$`).test(name)
      expect(matches(pattern, name)).toBe(expected)
    }),
    { numRuns: 20_000 },
  )
})

test.each(['.', 'a.c', '(', '[a-z]', 'a?c', '\\'])('nothing but "*" is special: %s', (name) => {
  expect(matches(name, 'abc')).toBe(false)
  expect(matches(`${name}*`, name)).toBe(true)
})

test('a hostile name against a hostile glob is answered', () => {
  // With backtracking it would not be, in anybody's lifetime.
  expect(matches(`${'a*'.repeat(60)}b`, 'a'.repeat(100_000))).toBe(false)
})
