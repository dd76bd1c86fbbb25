import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type LogPosition, NOWHERE, takePulled, takePushed } from './follower-position.ts'
import type { LogEvent } from './log-table.ts'

const event = (pos: bigint): LogEvent => ({
  pos,
  id: `id-${pos}`,
  stream: 'group-a',
  ver: Number(pos),
  type: 't',
  schemaVer: 1,
  meta: { actor: 'a', cause: 'c' },
  data: Buffer.alloc(0),
  at: new Date(0),
})
const at = (pos: bigint, epoch = 'e1'): LogPosition => ({ epoch, pos })

test('the next event is applied, an old one is ignored, a hole is pulled', () => {
  expect(takePushed(at(3n), 'e1', event(4n))).toMatchObject({ position: at(4n), pull: false })
  expect(takePushed(at(3n), 'e1', event(3n))).toMatchObject({ apply: [], pull: false })
  expect(takePushed(at(3n), 'e1', event(5n))).toMatchObject({ apply: [], pull: true })
})

test('a pushed event of another epoch changes nothing but makes the reader ask', () => {
  const intake = takePushed(at(3n), 'e2', event(4n))
  expect(intake).toEqual({ reset: false, apply: [], position: at(3n), pull: true })
})

test('another epoch empties the state and begins at the start', () => {
  const page = { epoch: 'e2', head: 2n, events: [event(1n), event(2n)] }
  expect(takePulled(NOWHERE, 0n, page)).toMatchObject({ reset: true, position: at(2n, 'e2') })
  // Asked after 5 of the old log: these events are not the first of the new one.
  const late = { epoch: 'e2', head: 9n, events: [event(6n)] }
  expect(takePulled(at(5n), 5n, late)).toMatchObject({
    reset: true,
    apply: [],
    position: at(0n, 'e2'),
    pull: true,
  })
})

test('a log that ends before what was read of it is read anew', () => {
  const page = { epoch: 'e1', head: 4n, events: [] }
  expect(takePulled(at(5n), 5n, page)).toMatchObject({ reset: true, position: at(0n), pull: true })
})

test('whatever arrives in whatever order, every event of the newest log is applied once and in order', () => {
  const arrival = fc.oneof(
    fc.record({ kind: fc.constant('append' as const), count: fc.integer({ min: 1, max: 5 }) }),
    fc.record({ kind: fc.constant('push' as const), pos: fc.bigInt({ min: 1n, max: 30n }) }),
    fc.record({ kind: fc.constant('ask' as const), limit: fc.integer({ min: 1, max: 6 }) }),
    fc.record({ kind: fc.constant('answer' as const) }),
    fc.record({ kind: fc.constant('restore' as const), keep: fc.nat(10) }),
  )
  fc.assert(
    fc.property(fc.array(arrival, { maxLength: 80 }), (arrivals) => {
      let epoch = 1
      let head = 0n
      let position: LogPosition = NOWHERE
      let state: bigint[] = []
      /** One pull at a time, as the follower does; its answer may be older than what was pushed since. */
      let pulling: { asked: bigint; page: Parameters<typeof takePulled>[2] } | undefined
      const take = (intake: ReturnType<typeof takePulled>) => {
        if (intake.reset) state = []
        state.push(...intake.apply.map(({ pos }) => pos))
        position = intake.position
      }
      const ask = (limit: number) => {
        const events: LogEvent[] = []
        for (let pos = position.pos + 1n; pos <= head && events.length < limit; pos += 1n) {
          events.push(event(pos))
        }
        pulling = { asked: position.pos, page: { epoch: `e${epoch}`, head, events } }
      }
      const receive = () => {
        if (pulling !== undefined) take(takePulled(position, pulling.asked, pulling.page))
        pulling = undefined
      }
      for (const one of arrivals) {
        if (one.kind === 'append') head += BigInt(one.count)
        if (one.kind === 'push' && one.pos <= head) {
          take(takePushed(position, `e${epoch}`, event(one.pos)))
        }
        if (one.kind === 'ask' && pulling === undefined) ask(one.limit)
        if (one.kind === 'answer') receive()
        if (one.kind === 'restore') {
          head = BigInt(Math.min(one.keep, Number(head)))
          epoch += 1
        }
        expect(state).toEqual(Array.from({ length: Number(position.pos) }, (_, i) => BigInt(i + 1)))
      }
      receive()
      for (let rounds = 0; rounds < 100; rounds += 1) {
        ask(6)
        receive()
      }
      expect(position).toEqual({ epoch: `e${epoch}`, pos: head })
      expect(state).toHaveLength(Number(head))
    }),
    { numRuns: 2000 },
  )
})
