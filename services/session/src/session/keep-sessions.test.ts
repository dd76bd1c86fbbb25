import { Rejection } from '@postern/errors'
import { createLog, createMetrics } from '@postern/telemetry'
import { expect, test } from 'vitest'
import { createSessionSignals } from '../signals.ts'
import type { AccessView, Judgement } from './access-view.ts'
import { createKeepSessions } from './keep-sessions.ts'
import { END_REASONS, type SessionCommand } from './session.ts'
import type { LiveSession, SessionRepository } from './session-repository.ts'

const start = new Date('2026-01-01T10:00:00Z')
const bindings = [{ clusterRole: 'postern-view', namespaces: ['shop'] }]
const entitled: Judgement = {
  user: 'enabled',
  userName: 'alice',
  clusterExists: true,
  hasAccess: true,
  bindings,
  uncovered: [],
  changesAt: undefined,
}
const nobody: Judgement = { ...entitled, user: 'disabled', hasAccess: false, bindings: [] }

const live = (id: string, lastActiveAt = start): LiveSession => ({
  session_id: id,
  user_id: `user of ${id}`,
  user_name: 'alice',
  cluster_id: 'c1',
  account: 'ptr-a-b',
  state: 'active',
  version: 1,
  bindings,
  provisioned: 1,
  problem: '',
  opened_at: start.toISOString(),
  expires_at: '2026-01-01T22:00:00.000Z',
  end_reason: 0,
  pos: 1n,
  lastActiveAt,
})

/** What keeping sessions does in a world that the test makes. */
function createWorld(sessions: readonly LiveSession[]) {
  const world = {
    now: start,
    ready: true,
    judgements: new Map<string, Judgement>(),
    databaseFails: false,
    afterJudging: () => {},
    /** What judgements rest on, and whom they were about. */
    state: {},
    judged: [] as string[],
    head: 1n,
    reads: 0,
    done: [] as (SessionCommand & { of: string })[],
    keep: async () => {},
  }
  const access: Pick<AccessView, 'ready' | 'state' | 'judge'> = {
    ready: () => world.ready,
    state: () => world.state,
    judge: (userId) => {
      world.judged.push(userId.replace('user of ', ''))
      world.afterJudging()
      return world.judgements.get(userId) ?? entitled
    },
  }
  const askDatabase = () => {
    if (world.databaseFails) throw new Error('the database is gone')
  }
  const repository: Pick<SessionRepository, 'live' | 'nextDue' | 'execute'> = {
    async nextDue(idleSeconds) {
      askDatabase()
      const ends = sessions.flatMap(({ expires_at, lastActiveAt = start }) => [
        new Date(expires_at).getTime(),
        lastActiveAt.getTime() + idleSeconds * 1000,
      ])
      return new Date(Math.min(...ends))
    },
    async live(after, due) {
      askDatabase()
      world.reads += 1
      return sessions
        .filter(({ session_id }) => session_id > after)
        .filter(
          ({ pos, expires_at, lastActiveAt = start }) =>
            due === undefined ||
            pos > due.changedAfter ||
            new Date(expires_at) <= due.at ||
            lastActiveAt <= due.unusedSince,
        )
        .slice(0, 2)
    },
    async execute(of, command) {
      if (of === 'odd') throw new Rejection('SESSION_ENDED', 'failed_precondition', 'it has ended')
      if (of === 'poison') throw new Error('cannot be read')
      world.done.push({ of, ...command })
    },
  }
  world.keep = createKeepSessions({
    sessions: repository as SessionRepository,
    async head() {
      askDatabase()
      return { pos: world.head }
    },
    activity: { note: async () => {}, forget: async () => {} },
    access: access as AccessView,
    now: () => world.now,
    idleSecondsMax: 1800,
    signals: createSessionSignals({
      log: createLog({ name: 'test', level: 'silent' }),
      metrics: createMetrics('test'),
    }),
  })
  return world
}

const at = (seconds: number) => new Date(start.getTime() + seconds * 1000)

test('sessions of every page are kept', async () => {
  const world = createWorld(['a', 'b', 'c', 'd', 'e'].map((id) => live(id)))
  for (const id of ['b', 'e']) world.judgements.set(`user of ${id}`, nobody)
  await world.keep()
  expect(world.done).toEqual(
    ['b', 'e'].map((of) => ({ of, type: 'EndSession', reason: END_REASONS.userDisabled })),
  )
})

test('nothing is concluded before everything was read', async () => {
  const world = createWorld([live('a')])
  world.judgements.set('user of a', nobody)
  world.ready = false
  await world.keep()
  expect(world.done).toEqual([])
})

test('nothing more is concluded once a log is read anew in the middle of a round', async () => {
  const world = createWorld(['a', 'b', 'c'].map((id) => live(id)))
  for (const id of ['a', 'b', 'c']) world.judgements.set(`user of ${id}`, nobody)
  world.afterJudging = () => {
    world.ready = false
  }
  await world.keep()
  expect(world.done.map(({ of }) => of)).toEqual(['a'])
})

test('other rights ask for another account', async () => {
  const world = createWorld([live('a')])
  const wider = [{ clusterRole: 'postern-edit', namespaces: [] }]
  world.judgements.set('user of a', { ...entitled, bindings: wider })
  await world.keep()
  expect(world.done).toEqual([{ of: 'a', type: 'DesireAccount', bindings: wider }])
})

test('one session that cannot be kept keeps no other from it, and is not passed over in silence', async () => {
  const world = createWorld(['odd', 'poison', 'z'].map((id) => live(id)))
  for (const id of ['odd', 'poison', 'z']) world.judgements.set(`user of ${id}`, nobody)
  await expect(world.keep()).rejects.toThrow('cannot be read')
  expect(world.done.map(({ of }) => of)).toEqual(['z'])
})

test('silence while the database was gone ends no session', async () => {
  const world = createWorld([live('a')])
  await world.keep()
  world.databaseFails = true
  world.now = at(3600)
  await expect(world.keep()).rejects.toThrow('the database is gone')
  world.databaseFails = false
  await world.keep()
  world.now = at(3600 + 44)
  await world.keep()
  expect(world.done).toEqual([])
  world.now = at(3600 + 45)
  await world.keep()
  expect(world.done).toMatchObject([{ of: 'a', reason: END_REASONS.idle }])
})

test('once all are judged, a round judges those that changed and those whose own time is over', async () => {
  const [kept, changes, expires] = [
    live('kept', at(9000)),
    live('changes', at(9000)),
    { ...live('expires', at(9000)), expires_at: at(100).toISOString() },
  ]
  const idle = live('idle', at(0))
  const sessions = [kept, changes, expires, idle].sort((a, b) =>
    a.session_id < b.session_id ? -1 : 1,
  )
  const world = createWorld(sessions)
  const judgedIn = async () => {
    world.judged = []
    await world.keep()
    return world.judged.toSorted()
  }
  expect(await judgedIn()).toEqual(['changes', 'expires', 'idle', 'kept'])
  expect(await judgedIn()).toEqual([])
  Object.assign(changes, { pos: 2n })
  world.head = 2n
  expect(await judgedIn()).toEqual(['changes'])
  expect(await judgedIn()).toEqual([])
  world.now = at(100)
  expect(await judgedIn()).toEqual(['expires'])
  world.now = at(1800)
  expect(await judgedIn()).toEqual(['expires', 'idle'])
})

test('while nothing changes and nobody’s time is over, rounds read no sessions', async () => {
  const world = createWorld([live('a', at(9000)), live('idle', at(0))])
  await world.keep()
  const { reads } = world
  world.now = at(1799)
  for (let round = 0; round < 10; round += 1) await world.keep()
  expect(world.reads).toBe(reads)
  world.now = at(1800)
  await world.keep()
  expect(world.done).toMatchObject([{ of: 'idle', reason: END_REASONS.idle }])
})

test('a change while a round reads is judged in the next one', async () => {
  const [first, second] = [live('a', at(9000)), live('b', at(9000))]
  const world = createWorld([first, second])
  world.afterJudging = () => {
    if (world.judged.length > 1) return
    // Behind the place where the round is.
    Object.assign(first, { pos: 2n })
    Object.assign(second, { pos: 3n })
  }
  await world.keep()
  world.head = 3n
  world.judged = []
  await world.keep()
  expect(world.judged).toEqual(['a', 'b'])
})

test.each<{
  why: string
  happens: (world: ReturnType<typeof createWorld>) => Promise<void> | void
}>([
  {
    why: 'anything changed that judgements rest on',
    happens: (world) => {
      world.state = {}
    },
  },
  {
    why: 'a grant begins or ends by its time',
    happens: (world) => {
      world.now = at(50)
    },
  },
  {
    why: 'a round failed',
    happens: async (world) => {
      world.databaseFails = true
      await expect(world.keep()).rejects.toThrow('the database is gone')
      world.databaseFails = false
    },
  },
  {
    why: 'a round broke off because a log was read anew',
    happens: async (world) => {
      world.state = {}
      world.afterJudging = () => {
        world.ready = false
      }
      await world.keep()
      world.afterJudging = () => {}
      world.ready = true
    },
  },
  {
    why: 'a minute of rounds has passed',
    happens: async (world) => {
      for (let round = 2; round < 60; round += 1) await world.keep()
    },
  },
])('all are judged again when $why', async ({ happens }) => {
  const world = createWorld(['a', 'b', 'c'].map((id) => live(id, at(9000))))
  world.judgements.set('user of b', { ...entitled, changesAt: at(50) })
  await world.keep()
  await world.keep()
  expect(world.judged).toEqual(['a', 'b', 'c'])
  await happens(world)
  world.judged = []
  await world.keep()
  expect(world.judged).toEqual(['a', 'b', 'c'])
})
