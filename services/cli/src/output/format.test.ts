import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type Column, format } from './format.ts'
import { printable } from './printable.ts'

const columns: Column[] = [
  ['NAME', (item) => String(item['name'])],
  ['ROLE', (item) => String(item['role'])],
]
const items = [
  { name: 'dev', role: 'developer' },
  { name: 'operations', role: 'admin' },
]

test('a table is aligned for people', () => {
  expect(format(items, columns, 'table')).toBe(
    'NAME         ROLE\ndev          developer\noperations   admin',
  )
})

test('programs get everything, in the form they ask for', () => {
  expect(JSON.parse(format(items, columns, 'json'))).toEqual(items)
  expect(format({ name: 'dev' }, columns, 'yaml')).toBe('name: dev')
})

test('nothing that a name holds reaches the terminal as a command', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      expect(printable(text)).not.toMatch(/[\p{Cc}\p{Cf}]/u)
    }),
  )
})
