import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Roster } from './roster.ts'

test('whoever comes and goes, exactly those are there who have not left', () => {
  const steps = fc.array(fc.oneof(fc.constant('comes' as const), fc.nat({ max: 20 })))
  fc.assert(
    fc.property(steps, (wanted) => {
      const roster = new Roster<{ name: number }>()
      const there = new Map<{ name: number }, number>()
      const left: [number, { name: number }][] = []
      const removed: boolean[] = []
      for (const [name, step] of wanted.entries()) {
        if (step === 'comes') {
          const one = { name }
          there.set(one, roster.add(one))
        } else {
          const leaves = [...there][step]
          if (leaves === undefined) continue
          const [one, seat] = leaves
          removed.push(roster.remove(seat, one))
          there.delete(one)
          left.push([seat, one])
        }
      }
      expect(removed).toEqual(left.map(() => true))
      for (const [seat, one] of left) expect(roster.remove(seat, one)).toBe(false)
      for (const [one, seat] of there) expect(roster.at(seat)).toBe(one)
      expect(roster.size).toBe(there.size)
      expect(new Set(roster)).toEqual(new Set([...there].map(([one, seat]) => [seat, one])))
    }),
  )
})

test('whoever leaves while all are gone through is left out', () => {
  const roster = new Roster<{ name: string }>()
  const [first, second] = [{ name: 'first' }, { name: 'second' }]
  roster.add(first)
  const seat = roster.add(second)
  const met: string[] = []
  for (const [, { name }] of roster) {
    met.push(name)
    roster.remove(seat, second)
  }
  expect(met).toEqual(['first'])
})

test('who has left is not kept until the old generation is collected', () => {
  const COMERS = 100_000
  const roster = new Roster<{ payload: number[] }>()
  const there: [seat: number, one: { payload: number[] }][] = []
  const come = () => {
    const one = { payload: Array.from({ length: 100 }, () => 0) }
    there.push([roster.add(one), one])
  }
  for (let comers = 0; comers < 32; comers += 1) come()
  // From here on the roster itself, and whatever it is made of, is in the old generation.
  collect()
  const before = oldGenerationBytes()
  for (let comers = 0; comers < COMERS; comers += 1) {
    come()
    const first = there.shift()
    if (first !== undefined) roster.remove(...first)
  }
  expect(oldGenerationBytes() - before).toBeLessThan(COMERS * 100)
})

function collect(): void {
  setFlagsFromString('--expose-gc')
  runInNewContext('gc')()
}

function oldGenerationBytes(): number {
  const old = getHeapSpaceStatistics().find(({ space_name: name }) => name === 'old_space')
  return old?.space_used_size ?? 0
}
