import fc from 'fast-check'
import { expect, test } from 'vitest'
import { isId, newId, parseId } from './index.ts'

test('new ids are ids, differ, and sort by the time they were made', () => {
  const ids = Array.from({ length: 100 }, () => newId('grant'))
  expect(ids.every(isId)).toBe(true)
  expect(new Set(ids).size).toBe(100)
  const times = ids.map((id) => id.slice(0, 13))
  expect(times).toEqual(times.toSorted())
})

test('an id is taken as it is, anything else is rejected', () => {
  fc.assert(fc.property(fc.uuid(), (text) => parseId('user', text) === text))
  fc.assert(
    fc.property(fc.string(), (text) => {
      expect(() => parseId('user', text)).toThrow('malformed')
    }),
  )
})

test.each([
  '018F0000-0000-7000-8000-000000000000',
  ' 018f0000-0000-7000-8000-000000000000',
  '018f0000-0000-7000-8000-000000000000\n',
  '../etc/passwd',
  '',
])('%j is not an id', (text) => {
  expect(isId(text)).toBe(false)
})
