import fc from 'fast-check'
import { expect, test } from 'vitest'
import { NOWHERE, type ReadUpTo, takeRun } from './follower-position.ts'
import type { LogEvent } from './log-table.ts'

const event = (pos: bigint, of = 'id'): LogEvent => ({
  pos,
  id: `${of}-${pos}`,
  stream: 'group-a',
  ver: Number(pos),
  type: 't',
  schemaVer: 1,
  meta: { actor: 'a', cause: 'c' },
  data: Buffer.alloc(0),
  at: new Date(0),
})
const at = (pos: bigint, epoch = 'e1'): ReadUpTo => ({ epoch, pos, id: `id-${pos}` })
const START = { pos: 0n, id: '' }

test('the run that follows is applied, and says whether it was all', () => {
  const run = { epoch: 'e1', head: 5n, afterId: 'id-3', events: [event(4n)] }
  expect(takeRun(at(3n), run)).toMatchObject({ reset: false, at: at(4n), isAtHead: false })
  expect(takeRun(at(3n), { ...run, head: 4n })).toMatchObject({ at: at(4n), isAtHead: true })
})

test('what comes after a hole is not applied', () => {
  const run = { epoch: 'e1', head: 6n, afterId: 'id-3', events: [event(4n), event(6n)] }
  expect(takeRun(at(3n), run)).toMatchObject({ apply: [event(4n)], at: at(4n), isAtHead: false })
})

test('another epoch empties the state and begins at the start', () => {
  const run = { epoch: 'e2', head: 2n, afterId: '', events: [event(1n), event(2n)] }
  expect(takeRun(NOWHERE, run)).toMatchObject({ reset: true, at: at(2n, 'e2'), isAtHead: true })
  // Asked after 5 of the old log: these events are not the first of the new one.
  const late = { epoch: 'e2', head: 9n, afterId: 'id-5', events: [event(6n)] }
  const reset = { reset: true, apply: [], at: { epoch: 'e2', ...START }, isAtHead: false }
  expect(takeRun(at(5n), late)).toEqual(reset)
})

test.each([
  { name: 'ends before what was read of it', head: 4n, afterId: '' },
  { name: 'has another event where the reader stands', head: 9n, afterId: 'other-5' },
])('a log that $name is read anew, though its epoch is the same', ({ head, afterId }) => {
  const run = { epoch: 'e1', head, afterId, events: [] }
  expect(takeRun(at(5n), run)).toMatchObject({ reset: true, at: { epoch: 'e1', ...START } })
})

test('whatever is appended, restored and read, the state is that of one log, in order', () => {
  const happening = fc.oneof(
    fc.record({ kind: fc.constant('append' as const), count: fc.integer({ min: 1, max: 5 }) }),
    fc.record({ kind: fc.constant('read' as const), limit: fc.integer({ min: 1, max: 6 }) }),
    fc.record({ kind: fc.constant('restore' as const), keep: fc.nat(10), isSaid: fc.boolean() }),
  )
  fc.assert(
    fc.property(fc.array(happening, { maxLength: 80 }), (happenings) => {
      let epoch = 1
      let history = 1
      let log: LogEvent[] = []
      let reader: ReadUpTo = NOWHERE
      let state: string[] = []
      const append = (count: number) => {
        for (let n = 0; n < count; n += 1) log.push(event(BigInt(log.length + 1), `h${history}`))
      }
      const read = (limit: number) => {
        const intake = takeRun(reader, {
          epoch: `e${epoch}`,
          head: BigInt(log.length),
          afterId: log[Number(reader.pos) - 1]?.id ?? '',
          events: log.slice(Number(reader.pos), Number(reader.pos) + limit),
        })
        if (intake.reset) state = []
        state.push(...intake.apply.map(({ id }) => id))
        reader = intake.at
        // What it holds is the beginning of the log as it is now, never a mixture.
        expect(state).toEqual(log.slice(0, Number(reader.pos)).map(({ id }) => id))
        expect(intake.isAtHead).toBe(state.length === log.length)
        return intake.isAtHead
      }
      for (const one of happenings) {
        if (one.kind === 'append') append(one.count)
        if (one.kind === 'read') read(one.limit)
        if (one.kind === 'restore') {
          log = log.slice(0, one.keep)
          history += 1
          if (one.isSaid) epoch += 1
        }
      }
      let isRead = false
      for (let round = 0; round < 100 && !isRead; round += 1) isRead = read(6)
      expect(state).toEqual(log.map(({ id }) => id))
    }),
    { numRuns: 500 },
  )
})
