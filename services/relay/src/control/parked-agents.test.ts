import { expect, test } from 'vitest'
import { createParkedAgents } from './parked-agents.ts'

test('agents of a cluster take turns, and other clusters have their own', () => {
  const parked = createParkedAgents<string>(4)
  parked.add('c1', 'a')
  parked.add('c1', 'b')
  parked.add('c2', 'z')
  expect([1, 2, 3, 4].map(() => parked.next('c1'))).toEqual(['a', 'b', 'a', 'b'])
  expect(parked.next('c2')).toBe('z')
  expect(parked.next('c3')).toBeUndefined()
})

test('an agent that left, or never was of that cluster, is not found there', () => {
  const parked = createParkedAgents<string>(4)
  parked.add('c1', 'a')
  parked.remove('c2', 'a')
  expect(parked.count).toBe(1)
  parked.remove('c1', 'a')
  parked.remove('c1', 'a')
  expect(parked.next('c1')).toBeUndefined()
  expect(parked.count).toBe(0)
})

test('parking twice counts once, and too many are turned away', () => {
  const parked = createParkedAgents<string>(1)
  expect([parked.add('c', 'a'), parked.add('c', 'a'), parked.add('c', 'b')]).toEqual([
    true,
    true,
    false,
  ])
  expect(parked.count).toBe(1)
})
