import fc from 'fast-check'
import { expect, onTestFinished, test, vi } from 'vitest'
import { createLogFeed } from './log-feed.ts'
import type { LogEvent } from './log-table.ts'
import { createWaker } from './waker.ts'

const event = (pos: bigint): LogEvent => ({
  pos,
  id: `id-${pos}`,
  stream: 'group-a',
  ver: 1,
  type: 't',
  schemaVer: 1,
  meta: { actor: 'a', cause: 'c' },
  data: Buffer.alloc(0),
  at: new Date(0),
})

function createLog(read: () => Promise<void>) {
  const { wake, subscribe } = createWaker()
  const log = { head: 0n, reads: 0, isAway: false }
  const feed = createLogFeed({
    onAppend: subscribe,
    async headLately() {
      if (log.isAway) throw new Error('the database is away')
      return { epoch: 'e', pos: log.head }
    },
    async readAfter(pos) {
      log.reads += 1
      const { head } = log
      await read()
      const events = Array.from({ length: Number(head - pos) }, (_, n) =>
        event(pos + BigInt(n + 1)),
      )
      return { head: { epoch: 'e', pos: head }, afterId: pos === 0n ? '' : `id-${pos}`, events }
    },
  })
  const append = () => {
    log.head += 1n
    wake()
  }
  return { log, feed, append }
}

/** Follows until it stands there; answers each position that it was given. */
async function followTo(
  feed: ReturnType<typeof createLogFeed>,
  reader: string,
  until: bigint,
): Promise<bigint[]> {
  const seen: bigint[] = []
  for await (const { events } of feed.follow(reader, 0n, new AbortController().signal)) {
    seen.push(...events.map(({ pos }) => pos))
    if ((seen.at(-1) ?? 0n) >= until) break
  }
  return seen
}

test('whenever something is appended, every reader gets all of it in order, without waiting for a beat', async () => {
  await fc.assert(
    fc.asyncProperty(fc.scheduler(), fc.integer({ min: 1, max: 12 }), async (s, count) => {
      const { feed, append } = createLog(async () => await s.schedule(Promise.resolve(), 'read'))
      const all = Array.from({ length: count }, (_, n) => BigInt(n + 1))
      const readers = ['a', 'b', 'c'].map(async (name) => await followTo(feed, name, BigInt(count)))
      const appending = (async () => {
        for (const _ of all) {
          await s.schedule(Promise.resolve(), 'append')
          append()
        }
      })()
      const seen = await s.waitFor(Promise.all([appending, ...readers]))
      expect(seen.slice(1)).toEqual([all, all, all])
      feed.close()
    }),
    { numRuns: 200 },
  )
})

test('a hundred readers at the head cost a few reads a commit, not a hundred', async () => {
  const { log, feed, append } = createLog(async () => await new Promise(setImmediate))
  const readers = Array.from({ length: 100 }, async (_, n) => await followTo(feed, `g${n}`, 10n))
  for (let n = 0; n < 10; n += 1) {
    append()
    for (let turns = 0; turns < 20; turns += 1) await new Promise(setImmediate)
  }
  await Promise.all(readers)
  expect(log.reads).toBeLessThan(60)
  feed.close()
})

test('beats say that nothing came, and read nothing of the log', async () => {
  vi.useFakeTimers()
  onTestFinished(() => void vi.useRealTimers())
  const { log, feed, append } = createLog(async () => undefined)
  append()
  append()
  const following = feed.follow('a', 0n, new AbortController().signal)
  await following.next()
  for (let beats = 0; beats < 3; beats += 1) {
    const beat = following.next()
    await vi.advanceTimersByTimeAsync(2000)
    expect((await beat).value).toEqual({ epoch: 'e', head: 2n, afterId: 'id-2', events: [] })
  }
  expect(log.reads).toBe(1)
  feed.close()
})

test('what nobody told of comes with the next beat', async () => {
  vi.useFakeTimers()
  onTestFinished(() => void vi.useRealTimers())
  const { log, feed } = createLog(async () => undefined)
  const following = feed.follow('a', 0n, new AbortController().signal)
  await following.next()
  log.head = 1n
  const next = following.next()
  await vi.advanceTimersByTimeAsync(2000)
  expect((await next).value).toMatchObject({ head: 1n, events: [{ pos: 1n }] })
  feed.close()
})

test('there is no beat of an owner that does not see its log: the reader asks another', async () => {
  vi.useFakeTimers()
  onTestFinished(() => void vi.useRealTimers())
  const { log, feed } = createLog(async () => undefined)
  const following = feed.follow('a', 0n, new AbortController().signal)
  await following.next()
  log.isAway = true
  const next = following.next().catch((error: unknown) => String(error))
  await vi.advanceTimersByTimeAsync(2000)
  expect(await next).toContain('the database is away')
  feed.close()
})

test('one reader cannot follow so often that nothing is left for others', async () => {
  const { feed } = createLog(async () => undefined)
  const ending = new AbortController()
  const follow = (reader: string) => feed.follow(reader, 0n, ending.signal)
  const greedy = Array.from({ length: 8 }, () => follow('greedy'))
  for (const one of greedy) await one.next()
  await expect(follow('greedy').next()).rejects.toMatchObject({ reason: 'TOO_MANY_FOLLOWERS' })
  expect((await follow('modest').next()).value).toMatchObject({ epoch: 'e', head: 0n })
  await greedy[0]?.return(undefined)
  expect((await follow('greedy').next()).done).toBe(false)
  ending.abort()
  feed.close()
})
