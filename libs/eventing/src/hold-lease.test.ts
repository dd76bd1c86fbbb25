import { createMemoryLog } from '@postern/telemetry/testing'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { EventLogClient } from './event-log-client.ts'
import { holdLease } from './hold-lease.ts'

const SECOND = 1000
const HEAD = { epoch: 'e', pos: 7n }

type Way = 'answers' | 'hangs' | 'fails' | 'is slow'

/** A way to the owner of a log that ends where its only reader stands; answers take a millisecond. */
function createPath() {
  const askedAt: number[] = []
  const path = {
    way: 'answers' as Way,
    askedAt,
    async *holdLease(questions: Parameters<EventLogClient['holdLease']>[0]) {
      for await (const { nonce } of questions) {
        askedAt.push(Date.now())
        if (path.way === 'fails') throw new Error('there is no connection')
        if (path.way === 'hangs') await new Promise<never>(() => undefined)
        await new Promise((answer) => setTimeout(answer, path.way === 'is slow' ? 900 : 1))
        yield { epoch: HEAD.epoch, head: HEAD.pos, granted: true, nonce }
      }
    },
    renewLease: async () => await Promise.reject(new Error('no owner of today is asked so')),
  }
  return path
}

function hold() {
  const log = createMemoryLog()
  const paths = [createPath(), createPath()] as const
  const lease = holdLease({
    service: 'ledger',
    paths,
    follower: { position: () => HEAD, reach: async () => undefined },
    log,
    now: () => Date.now(),
  })
  const changes: string[] = []
  lease.onRegained(() => changes.push('regained'))
  lease.onLost(() => changes.push('lost'))
  return { paths, lease, changes, log }
}

beforeEach(() => void vi.useFakeTimers({ now: 0 }))
afterEach(() => void vi.useRealTimers())

test('while every path answers the owner is asked once each half second, by each path in its turn', async () => {
  const { paths, lease, changes } = hold()
  await vi.advanceTimersByTimeAsync(3 * SECOND - 1)
  expect(paths.map(({ askedAt }) => askedAt)).toEqual([
    [0, 1000, 2000],
    [500, 1500, 2500],
  ])
  expect(changes).toEqual(['regained'])
  lease.stop()
})

test.each([
  { path: 0, way: 'hangs' },
  { path: 1, way: 'hangs' },
  { path: 0, way: 'fails' },
  { path: 1, way: 'fails' },
] as const)(
  'path $path that $way costs no lease: the other is asked again before half of one has passed',
  async ({ path, way }) => {
    const { paths, lease, changes } = hold()
    await vi.advanceTimersByTimeAsync(SECOND)
    const [broken, sound] = path === 0 ? paths : [paths[1], paths[0]]
    broken.way = way
    await vi.advanceTimersByTimeAsync(10 * SECOND)
    expect(changes).toEqual(['regained'])
    const { askedAt } = sound
    const gaps = askedAt.slice(1).map((at, index) => at - (askedAt[index] ?? 0))
    expect(Math.max(...gaps.slice(2))).toBeLessThanOrEqual(750)
    lease.stop()
  },
)

test('an owner whose every answer takes most of a second keeps the leases on it', async () => {
  const { paths, lease, changes } = hold()
  for (const path of paths) path.way = 'is slow'
  await vi.advanceTimersByTimeAsync(10 * SECOND)
  expect(changes).toEqual(['regained'])
  lease.stop()
})

test('without any answer the lease ends two seconds after the last that came was asked for', async () => {
  const { paths, lease } = hold()
  await vi.advanceTimersByTimeAsync(1100)
  const lastAskedAt = Math.max(...paths.flatMap(({ askedAt }) => askedAt))
  for (const path of paths) path.way = 'hangs'
  await vi.advanceTimersByTimeAsync(lastAskedAt + 2 * SECOND - 1 - Date.now())
  expect(lease.valid()).toBe(true)
  await vi.advanceTimersByTimeAsync(1)
  expect(lease.valid()).toBe(false)
  lease.stop()
})

test('who reads the log learns once why a lease that does not hold was not renewed', async () => {
  const { paths, lease, log } = hold()
  await vi.advanceTimersByTimeAsync(SECOND)
  for (const path of paths) path.way = 'fails'
  await vi.advanceTimersByTimeAsync(10 * SECOND)
  const warnings = log.records.filter(({ level }) => level === 'warn')
  expect(warnings).toMatchObject([
    { message: 'the lease was not renewed', fields: { error: 'there is no connection' } },
    { message: 'the lease was lost', fields: { follows: 'ledger' } },
  ])
  lease.stop()
})

test('whoever waits to know is answered within half a second, and a quarter more where a path hangs', async () => {
  const { paths, lease } = hold()
  await vi.advanceTimersByTimeAsync(1100)
  paths[0].way = 'hangs'
  for (let times = 0; times < 6; times += 1) {
    const since = Date.now()
    const confirmed = lease.confirmed().then((is) => ({ is, ms: Date.now() - since }))
    await vi.advanceTimersByTimeAsync(SECOND)
    const { is, ms } = await confirmed
    expect(is).toBe(true)
    expect(ms).toBeLessThanOrEqual(760)
  }
  lease.stop()
})
