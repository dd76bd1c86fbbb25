import type { Bus, BusMessage } from '@postern/bus'
import { GroupCreated } from '@postern/proto/postern/identity/events/v1/events'
import { createSilentLog } from '@postern/telemetry/testing'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { EventCodec } from './codec.ts'
import { eventCodec } from './event-codec.ts'
import { followLog } from './follow-log.ts'
import type { LogEvent } from './log-table.ts'
import { encodeHint, toBusMessage, toRecordedEvent } from './wire.ts'

type Event = { type: 'GroupCreated'; groupId: string; name: string; platformRole: 0 | 1 | 2 | -1 }
const codec: EventCodec<Event> = eventCodec('postern.identity.events.v1', { GroupCreated })

const logged = (pos: bigint, epoch: string): LogEvent => ({
  ...codec.encode({ type: 'GroupCreated', groupId: `${epoch}.${pos}`, name: '', platformRole: 0 }),
  pos,
  id: `${epoch}.${pos}`,
  stream: `group-${pos}`,
  ver: 1,
  meta: { actor: 'system', cause: 'test' },
  at: new Date(0),
})

/** An owner and a bus in memory, whose messages the test delivers when, and as often as, it likes. */
function createWorld() {
  const world = { epoch: 'e1', head: 0n }
  const handlers = new Set<(message: BusMessage) => void>()
  const hinted = new Set<(data: Uint8Array) => void>()
  const bus: Bus = {
    connected: true,
    problem: undefined,
    publishCore: () => undefined,
    request: async () => await Promise.reject(new Error('not here')),
    onConnect: () => () => undefined,
    close: async () => undefined,
    subscribeCore(_subject, handler) {
      hinted.add(handler)
      return () => hinted.delete(handler)
    },
    stream: () => ({
      ensure: async () => undefined,
      lastSeq: async () => world.head,
      publish: async () => undefined,
      follow(_afterSeq, onMessage) {
        handlers.add(onMessage)
        return () => handlers.delete(onMessage)
      },
    }),
  }
  return {
    world,
    bus,
    push(pos: bigint, epoch: string) {
      const message = { ...toBusMessage('identity', epoch, logged(pos, epoch)), seq: pos }
      for (const handler of handlers) handler(message)
    },
    hint(pos: bigint, epoch: string) {
      for (const handler of hinted) handler(encodeHint({ epoch, pos }))
    },
    read(after: bigint, limit: number) {
      const events: LogEvent[] = []
      for (let pos = after + 1n; pos <= world.head && events.length < limit; pos += 1n) {
        events.push(logged(pos, world.epoch))
      }
      return { ...world, events: events.map(toRecordedEvent) }
    },
  }
}

test('however pulls, pushes, hints, losses and restores fall together, the state is the log', async () => {
  const step = fc.oneof(
    { weight: 4, arbitrary: fc.record({ kind: fc.constant('append' as const) }) },
    fc.record({ kind: fc.constant('push' as const), back: fc.bigInt({ min: 0n, max: 4n }) }),
    fc.record({ kind: fc.constant('hint' as const), back: fc.bigInt({ min: 0n, max: 4n }) }),
    fc.record({ kind: fc.constant('restore' as const), back: fc.bigInt({ min: 1n, max: 4n }) }),
    fc.record({ kind: fc.constant('pull' as const) }),
  )
  await fc.assert(
    fc.asyncProperty(fc.scheduler(), fc.array(step, { maxLength: 40 }), async (s, steps) => {
      const around = createWorld()
      const { world, bus } = around
      let state: string[] = []
      let wrong = ''
      let losses = 3
      const follower = followLog<Event>({
        service: 'identity',
        bus,
        codec,
        log: createSilentLog(),
        client: {
          readEvents: async ({ after }) => {
            const answer = around.read(after, 3)
            await s.schedule(Promise.resolve(), 'answer')
            losses -= 1
            if (losses === 1) throw new Error('the answer was lost')
            return answer
          },
          renewLease: async () => await Promise.reject(new Error('not asked here')),
        },
        onReset: () => {
          state = []
        },
        onEvents: (events, { epoch, pos }) => {
          state.push(...events.map(({ id }) => id))
          const whole = Array.from({ length: Number(pos) }, (_, index) => `${epoch}.${index + 1}`)
          if (state.join() !== whole.join()) wrong ||= `at ${epoch}.${pos}: ${state.join()}`
        },
      })
      const acting = (async () => {
        for (const one of steps) {
          await s.schedule(Promise.resolve(), one.kind)
          const { epoch, head } = world
          if (one.kind === 'append') world.head += 1n
          if (one.kind === 'push' && head > one.back) around.push(head - one.back, epoch)
          if (one.kind === 'hint' && head > one.back) around.hint(head - one.back, epoch)
          if (one.kind === 'pull') follower.pull().catch(() => undefined)
          if (one.kind === 'restore' && head > one.back) {
            world.head -= one.back
            world.epoch = `${epoch}x`
          }
        }
      })()
      await s.waitFor(acting)
      await s.waitFor(follower.pull().catch(async () => await follower.pull()))
      expect(wrong).toBe('')
      expect(follower.position()).toEqual({ epoch: world.epoch, pos: world.head })
      expect(state).toHaveLength(Number(world.head))
      follower.stop()
    }),
    { numRuns: 200 },
  )
})
