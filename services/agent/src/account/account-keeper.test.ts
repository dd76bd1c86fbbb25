import { createSilentLog } from '@postern/telemetry/testing'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { AccountOrder } from './account.ts'
import { createAccountKeeper } from './account-keeper.ts'
import type { AccountReport } from './account-reports.ts'
import type { AccountToken, ClusterAccounts } from './cluster-accounts.ts'

const START = Date.parse('2026-01-01T00:00:00Z')
const TOKEN_MS = 600_000

beforeEach(() => {
  vi.useFakeTimers({ now: START })
})

afterEach(() => {
  vi.useRealTimers()
})

function order(change: Partial<AccountOrder> = {}): AccountOrder {
  return {
    sessionId: 's1',
    version: 1,
    wanted: true,
    account: 'ptr-a',
    userId: 'u1',
    userName: 'alice',
    bindings: [],
    expiresAtMs: START + 8 * 3_600_000,
    ...change,
  }
}

/** A cluster in memory whose next calls fail as often as the test says. */
function start(options: { failures?: number } = {}) {
  let failures = options.failures ?? 0
  let tokens = 0
  const done: string[] = []
  const reports: AccountReport[] = []
  const ended: string[] = []
  const attempt = async (what: string) => {
    await Promise.resolve()
    if (failures > 0) {
      failures -= 1
      throw new Error(`${what} failed`)
    }
    done.push(what)
  }
  const token = (): AccountToken => {
    tokens += 1
    return { value: `t${tokens}`, issuedAtMs: Date.now(), expiresAtMs: Date.now() + TOKEN_MS }
  }
  const cluster: ClusterAccounts = {
    make: async ({ version }) => {
      await attempt(`make ${version}`)
      return token()
    },
    renewToken: async () => {
      await attempt('renew')
      return token()
    },
    remove: (sessionId) => attempt(`remove ${sessionId}`),
  }
  const keeper = createAccountKeeper({
    cluster,
    report: (report) => reports.push(report),
    onEnded: (sessionId) => ended.push(sessionId),
    log: createSilentLog(),
    now: () => new Date(),
  })
  return { keeper, done, reports, ended, fail: (times: number) => (failures = times) }
}

const settle = () => vi.advanceTimersByTimeAsync(0)

test('a token is renewed well before it ends, and the old one serves until then', async () => {
  const { keeper, done } = start()
  keeper.order(order())
  await settle()
  await vi.advanceTimersByTimeAsync(TOKEN_MS * 0.8 - 1)
  expect(keeper.token('s1')?.value).toBe('t1')
  await vi.advanceTimersByTimeAsync(1)
  expect(keeper.token('s1')?.value).toBe('t2')
  expect(done).toEqual(['make 1', 'renew'])
})

test('a token that cannot be renewed is made anew, and an expired one never serves', async () => {
  const { keeper, fail } = start()
  keeper.order(order())
  await settle()
  fail(1000)
  await vi.advanceTimersByTimeAsync(TOKEN_MS)
  expect(keeper.token('s1')).toBeUndefined()
  fail(0)
  await vi.advanceTimersByTimeAsync(60_000)
  expect(keeper.token('s1')).toBeDefined()
})

test('what fails is reported and tried again, ever more slowly', async () => {
  const { keeper, reports, done } = start({ failures: 3 })
  keeper.order(order())
  await vi.advanceTimersByTimeAsync(5_000)
  expect(reports.map(({ result }) => result.kind)).toEqual([
    'failed',
    'failed',
    'failed',
    'provisioned',
  ])
  expect(done).toEqual(['make 1'])
})

test('the end of a session does not wait for an account that cannot be made', async () => {
  const { keeper, done, fail, ended } = start({ failures: 8 })
  keeper.order(order())
  await vi.advanceTimersByTimeAsync(20_000)
  fail(0)
  keeper.order(order({ version: 2, wanted: false }))
  await settle()
  expect(ended).toEqual(['s1'])
  expect(done).toEqual(['remove s1'])
})

test('an end that comes while the account is made removes it after', async () => {
  const { keeper, done, reports } = start()
  keeper.order(order())
  keeper.order(order({ version: 2, wanted: false }))
  await settle()
  expect(done.at(-1)).toBe('remove s1')
  expect(keeper.token('s1')).toBeUndefined()
  expect(reports.map(({ result }) => result.kind)).toEqual(['removed'])
})

test('an account ends at its time, to the moment', async () => {
  const { keeper, done, ended } = start()
  keeper.order(order({ expiresAtMs: START + 1000 }))
  await settle()
  await vi.advanceTimersByTimeAsync(999)
  expect(keeper.token('s1')).toBeDefined()
  await vi.advanceTimersByTimeAsync(1)
  expect(keeper.token('s1')).toBeUndefined()
  expect(ended).toEqual(['s1'])
  expect(done).toContain('remove s1')
})

test('an account ends although its timer fires a moment before the clock says so', async () => {
  const { keeper, ended } = start()
  keeper.order(order({ expiresAtMs: START + 1000 }))
  await settle()
  vi.setSystemTime(START - 1)
  await vi.advanceTimersByTimeAsync(1000)
  expect(ended).toEqual([])
  await vi.advanceTimersByTimeAsync(1)
  expect(ended).toEqual(['s1'])
})

test('an order that comes again as it stands is reported again', async () => {
  const { keeper, reports, done } = start()
  keeper.order(order())
  await settle()
  keeper.order(order())
  await settle()
  expect(reports.map(({ result }) => result.kind)).toEqual(['provisioned', 'provisioned'])
  expect(done).toEqual(['make 1'])
})

test('a request that comes a moment before its account waits for it', async () => {
  const { keeper } = start()
  const soon = keeper.tokenSoon('s1')
  await vi.advanceTimersByTimeAsync(100)
  keeper.order(order())
  await settle()
  expect(await soon).toMatchObject({ value: 't1' })
})

test('a request of a session that nobody knows is refused after a short wait', async () => {
  const { keeper } = start()
  const soon = keeper.tokenSoon('s1')
  await vi.advanceTimersByTimeAsync(60_000)
  expect(await soon).toBe('unknown-session')
})

test('a request of a session that has ended is refused at once', async () => {
  const { keeper } = start()
  keeper.order(order())
  await settle()
  keeper.order(order({ version: 2, wanted: false }))
  expect(await keeper.tokenSoon('s1')).toBe('unknown-session')
})

test('an account that stays broken is mended at a bounded rate', async () => {
  const { keeper, done } = start()
  keeper.order(order())
  await settle()
  for (let second = 0; second < 20; second += 1) {
    for (let request = 0; request < 50; request += 1) keeper.foundBroken('s1')
    await vi.advanceTimersByTimeAsync(1000)
  }
  expect(done.length).toBeLessThanOrEqual(6)
})
