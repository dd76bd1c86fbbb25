import { once } from 'node:events'
import { setTimeout } from 'node:timers/promises'
import { GroupCreated } from '@postern/proto/postern/identity/events/v1/events'
import { createSilentLog } from '@postern/telemetry/testing'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { EventCodec } from './codec.ts'
import { eventCodec } from './event-codec.ts'
import { followLog } from './follow-log.ts'
import type { LogEvent } from './log-table.ts'
import { toRecordedEvent } from './wire.ts'

type Event = { type: 'GroupCreated'; groupId: string; name: string; platformRole: 0 | 1 | 2 | -1 }
const codec: EventCodec<Event> = eventCodec('postern.identity.events.v1', { GroupCreated })

const logged = (pos: number, history: string): LogEvent => ({
  ...codec.encode({
    type: 'GroupCreated',
    groupId: `${history}.${pos}`,
    name: '',
    platformRole: 0,
  }),
  pos: BigInt(pos),
  id: `${history}.${pos}`,
  stream: `group-${pos}`,
  ver: 1,
  meta: { actor: 'system', cause: 'test' },
  at: new Date(0),
})

/** An owner in memory, whose log may be restored with and without its epoch saying so. */
function createOwner() {
  let history = 'h'
  const owner = {
    epoch: 'e1',
    log: [] as LogEvent[],
    append: () => void owner.log.push(logged(owner.log.length + 1, history)),
    restore(drop: number, isSaid: boolean) {
      owner.log.splice(Math.max(0, owner.log.length - drop))
      history += 'x'
      if (isSaid) owner.epoch += 'x'
    },
    runAfter(pos: number, limit: number) {
      return {
        epoch: owner.epoch,
        head: BigInt(owner.log.length),
        afterId: owner.log[pos - 1]?.id ?? '',
        events: owner.log.slice(pos, pos + limit).map(toRecordedEvent),
      }
    },
  }
  return owner
}

test('however appends, broken streams and restores fall together, the state is the log', async () => {
  const step = fc.oneof(
    { weight: 4, arbitrary: fc.record({ kind: fc.constant('append' as const) }) },
    fc.record({ kind: fc.constant('break' as const) }),
    fc.record({ kind: fc.constant('end' as const) }),
    fc.record({
      kind: fc.constant('restore' as const),
      drop: fc.integer({ min: 1, max: 4 }),
      isSaid: fc.boolean(),
    }),
  )
  await fc.assert(
    fc.asyncProperty(fc.scheduler(), fc.array(step, { maxLength: 40 }), async (s, steps) => {
      const owner = createOwner()
      let state: string[] = []
      let isNext: 'break' | 'end' | 'go on' = 'go on'
      let shown: string[] | undefined
      const follower = followLog<Event>({
        service: 'identity',
        codec,
        log: createSilentLog(),
        paths: [
          {
            async *followEvents({ after }) {
              for (let pos = Number(after); ; ) {
                const run = owner.runAfter(pos, 3)
                await s.schedule(Promise.resolve(), 'run')
                const now = isNext
                isNext = 'go on'
                if (now === 'break') throw new Error('the connection broke')
                if (now === 'end') return
                yield run
                pos += run.events.length
              }
            },
          },
        ],
        onReset: () => {
          state = []
          shown = undefined
        },
        onEvents: (events) => {
          state.push(...events.map(({ id }) => id))
          if (follower.caughtUp) shown = [...state]
        },
        onCaughtUp: () => {
          shown = [...state]
        },
      })
      const isWhole = () => {
        const { epoch, pos } = follower.position()
        return (
          epoch === owner.epoch &&
          pos === BigInt(owner.log.length) &&
          state.at(-1) === owner.log.at(-1)?.id
        )
      }
      const goOn = async () => {
        // Asked for so that no retry waits for its time.
        const { epoch } = owner
        follower.reach({ epoch, pos: BigInt(owner.log.length) }, 1).catch(() => undefined)
        if (s.count() > 0) await s.waitNext(1)
        else await new Promise(setImmediate)
      }
      for (const one of steps) {
        if (one.kind === 'append') owner.append()
        if (one.kind === 'break' || one.kind === 'end') isNext = one.kind
        if (one.kind === 'restore') owner.restore(one.drop, one.isSaid)
        await goOn()
      }
      for (let round = 0; round < 500 && !(isWhole() && follower.caughtUp); round += 1) await goOn()
      expect(state).toEqual(owner.log.map(({ id }) => id))
      expect(follower.position()).toEqual({ epoch: owner.epoch, pos: BigInt(owner.log.length) })
      expect(follower.caughtUp).toBe(true)
      expect(shown).toEqual(state)
      follower.stop()
      // The stream that is open ends with its next run.
      while (s.count() > 0) await s.waitNext(1)
    }),
    { numRuns: 200 },
  )
})

test('nothing of the past is shown: the head is reached before anyone is told', async () => {
  const owner = createOwner()
  for (let n = 0; n < 10; n += 1) owner.append()
  const told: bigint[] = []
  const follower = followLog<Event>({
    service: 'identity',
    codec,
    log: createSilentLog(),
    paths: [
      {
        async *followEvents({ after }) {
          for (let pos = Number(after); pos < owner.log.length; pos += 3) {
            yield owner.runAfter(pos, 3)
          }
        },
      },
    ],
    onReset: () => undefined,
    onEvents: (_events, { pos }) => {
      if (follower.caughtUp) told.push(pos)
    },
    onCaughtUp: () => told.push(follower.position().pos),
  })
  await follower.reach({ epoch: 'e1', pos: 10n }, 60_000)
  follower.stop()
  expect(told).toEqual([10n])
})

test('what a path that hangs does not bring comes by the other, which is not tried before', async () => {
  const owner = createOwner()
  owner.append()
  const opened: string[] = []
  const bringing = (name: string, afterMs: number, hangs: () => boolean) => ({
    async *followEvents({ after }: { after: bigint }, { signal }: { signal?: AbortSignal } = {}) {
      opened.push(name)
      await setTimeout(afterMs, undefined, { signal })
      yield owner.runAfter(Number(after), 3)
      if (!hangs()) return
      await once(signal ?? expect.unreachable(), 'abort')
      throw new Error('nothing came')
    },
  })
  let hasHung = false
  const follower = followLog<Event>({
    service: 'identity',
    codec,
    log: createSilentLog(),
    paths: [
      bringing('first', 0, () => {
        hasHung = true
        return true
      }),
      bringing('second', 200, () => false),
    ],
    onReset: () => undefined,
    onEvents: () => undefined,
  })
  await follower.reach({ epoch: 'e1', pos: 1n }, 60_000)
  expect([hasHung, opened]).toEqual([true, ['first']])
  owner.append()
  const waiting = [0, 150].map(async (sinceMs) => {
    await setTimeout(sinceMs)
    await follower.reach({ epoch: 'e1', pos: 2n }, 60_000)
  })
  await Promise.all(waiting)
  follower.stop()
  // Who waits for a shorter time does not break off what the other has waited for.
  expect(opened.slice(0, 2)).toEqual(['first', 'second'])
  expect(opened.slice(1)).not.toContain('first')
})
