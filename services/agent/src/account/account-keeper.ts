import { messageOf } from '@postern/errors'
import type { Log } from '@postern/telemetry'
import {
  type Account,
  type AccountFact,
  type AccountOrder,
  afterFact,
  isForgettable,
  isUsable,
  stepFor,
  UNKNOWN,
} from './account.ts'
import type { AccountReport } from './account-reports.ts'
import type { AccountToken, ClusterAccounts } from './cluster-accounts.ts'
import { createWorkQueue } from './work-queue.ts'

/** Keeps the cluster's accounts as they are ordered, and their tokens in memory. */
export type AccountKeeper = {
  /** An order whose signature was checked. */
  order(order: AccountOrder): void
  /** The session service has said everything: sessions that it did not name must go. */
  named(sessionIds: ReadonlySet<string>): void
  /** The token of a session that may be used now. */
  token(sessionId: string): AccountToken | undefined
  /** As `token`, but waits a little for an account that is being made. */
  tokenSoon(sessionId: string): Promise<AccountToken | 'unknown-session' | 'no-token'>
  /** kube-apiserver refused the token, or an object is missing. */
  foundBroken(sessionId: string): void
  account(sessionId: string): Account
  readonly sessionIds: readonly string[]
  /** Whether nothing is being made or removed at this moment. */
  readonly isIdle: boolean
  forgetOld(): void
  /** Nothing more is begun; what is under way goes on to its end. */
  close(): void
}

type Entry = {
  readonly sessionId: string
  account: Account
  token: AccountToken | undefined
  working: boolean
  failures: number
  brokenAtMs: number
  retry: NodeJS.Timeout | undefined
  expiry: NodeJS.Timeout | undefined
  renewal: NodeJS.Timeout | undefined
  waiting: Set<() => void>
}

const AT_ONCE = 16
const RETRY_MS_MIN = 250
const RETRY_MS_MAX = 30_000
const TIMER_MS_MAX = 2 ** 31 - 1
/** A gateway may know of an account that another agent has made a moment before this one. */
const TOKEN_WAIT_MS = 2_000
const RENEW_AT = 0.8
/** Whatever keeps an account broken, it is mended at most so often. */
const BROKEN_MS = 5_000
const REASON_CHARACTERS_MAX = 300

export function createAccountKeeper(needs: {
  readonly cluster: ClusterAccounts
  readonly report: (report: AccountReport) => void
  /** Whatever runs under the session must end. */
  readonly onEnded: (sessionId: string) => void
  readonly log: Log
  readonly now: () => Date
}): AccountKeeper {
  const { cluster, report, onEnded, log, now } = needs
  const entries = new Map<string, Entry>()
  const work = createWorkQueue(AT_ONCE)
  const unknownWaiting = new Map<string, Set<() => void>>()
  let closed = false

  function entryOf(sessionId: string): Entry {
    const existing = entries.get(sessionId)
    if (existing !== undefined) return existing
    const entry: Entry = {
      sessionId,
      account: UNKNOWN,
      token: undefined,
      working: false,
      failures: 0,
      brokenAtMs: Number.NEGATIVE_INFINITY,
      retry: undefined,
      expiry: undefined,
      renewal: undefined,
      waiting: unknownWaiting.get(sessionId) ?? new Set(),
    }
    entries.set(sessionId, entry)
    unknownWaiting.delete(sessionId)
    return entry
  }

  function tell(entry: Entry, fact: AccountFact): void {
    const before = entry.account
    entry.account = afterFact(before, fact, now())
    if (entry.account.status === 'wanted') {
      // Also where nothing has changed: a timer may fire a moment before the clock says so.
      const { expiresAtMs } = entry.account.order
      clearTimeout(entry.expiry)
      entry.expiry = later(expiresAtMs - now().getTime(), () => tell(entry, { type: 'Looked' }))
    }
    if (entry.account === before) return
    if (entry.account.status !== 'wanted' && before.status === 'wanted') {
      clearTimeout(entry.expiry)
      clearTimeout(entry.renewal)
      entry.token = undefined
      onEnded(entry.sessionId)
    }
    if (fact.type === 'Ordered' || entry.account.status !== before.status) retryNow(entry)
    for (const wake of entry.waiting) wake()
    wakeUp(entry)
  }

  function retryNow(entry: Entry): void {
    clearTimeout(entry.retry)
    entry.retry = undefined
    entry.failures = 0
  }

  /** One step at a time for a session; another follows as long as there is one to do. */
  function wakeUp(entry: Entry): void {
    if (closed || entry.working || entry.retry !== undefined) return
    const { account } = entry
    const step = stepFor(account)
    if (step === 'nothing') return
    entry.working = true
    const doing =
      step === 'make' && account.status === 'wanted'
        ? () => make(entry, account.order)
        : () => remove(entry)
    work.run(doing).then(
      () => worked(entry, undefined),
      (error: unknown) => worked(entry, { error }),
    )
  }

  async function make(entry: Entry, order: AccountOrder): Promise<void> {
    const token = await cluster.make(order)
    tell(entry, { type: 'Made', version: order.version })
    if (entry.account.status !== 'wanted') return
    keepToken(entry, token)
    if (stepFor(entry.account) === 'nothing') reportProvisioned(entry)
  }

  async function remove(entry: Entry): Promise<void> {
    await cluster.remove(entry.sessionId)
    tell(entry, { type: 'Removed' })
    const { sessionId, account } = entry
    if (account.status !== 'unwanted') return
    report({ sessionId, version: account.version, result: { kind: 'removed' } })
    log.info({ sessionId }, 'account removed')
  }

  function worked(entry: Entry, failure: { error: unknown } | undefined): void {
    entry.working = false
    if (closed) return
    if (failure === undefined) {
      entry.failures = 0
    } else {
      entry.failures += 1
      failed(entry, failure.error)
      const delay = Math.min(RETRY_MS_MIN * 2 ** (entry.failures - 1), RETRY_MS_MAX)
      entry.retry = later(delay * (0.5 + Math.random() / 2), () => {
        entry.retry = undefined
        wakeUp(entry)
      })
    }
    wakeUp(entry)
  }

  function failed(entry: Entry, error: unknown): void {
    const { sessionId, account, failures } = entry
    log.warn({ err: error, sessionId, failures, status: account.status }, 'account step failed')
    if (account.status !== 'wanted') return
    const reason = messageOf(error).slice(0, REASON_CHARACTERS_MAX)
    report({ sessionId, version: account.order.version, result: { kind: 'failed', reason } })
  }

  function reportProvisioned({ sessionId, account }: Entry): void {
    if (account.status !== 'wanted') return
    const { version } = account.order
    report({ sessionId, version, result: { kind: 'provisioned' } })
    log.info({ sessionId, version, account: account.order.account }, 'account provisioned')
  }

  function keepToken(entry: Entry, token: AccountToken): void {
    entry.token = token
    for (const wake of entry.waiting) wake()
    const lifeMs = token.expiresAtMs - token.issuedAtMs
    const dueMs = token.issuedAtMs + lifeMs * RENEW_AT - now().getTime()
    clearTimeout(entry.renewal)
    entry.renewal = later(dueMs, () => renew(entry))
  }

  /** A new token before the old one ends. If that fails everything is looked at again. */
  function renew(entry: Entry): void {
    const { account } = entry
    if (account.status !== 'wanted') return
    work
      .run(() => cluster.renewToken(account.order))
      .then(
        (token) => {
          if (!closed && entry.account.status === 'wanted') keepToken(entry, token)
        },
        (error: unknown) => {
          log.warn({ err: error, sessionId: entry.sessionId }, 'token not renewed')
          if (!closed) tell(entry, { type: 'FoundBroken' })
        },
      )
  }

  function tokenOf(sessionId: string): AccountToken | undefined {
    const entry = entries.get(sessionId)
    if (entry?.token === undefined) return undefined
    const at = now()
    const isGood = isUsable(entry.account, at) && at.getTime() < entry.token.expiresAtMs
    return isGood ? entry.token : undefined
  }

  function waitingFor(sessionId: string): Set<() => void> {
    const known = entries.get(sessionId)?.waiting ?? unknownWaiting.get(sessionId)
    if (known !== undefined) return known
    const waiting = new Set<() => void>()
    unknownWaiting.set(sessionId, waiting)
    return waiting
  }

  return {
    order(order) {
      const entry = entryOf(order.sessionId)
      const before = entry.account
      tell(entry, { type: 'Ordered', order })
      // Ordered again as it stands: the report of it may have been lost.
      const isRepeated = entry.account === before && order.wanted
      if (isRepeated && entry.token !== undefined && stepFor(before) === 'nothing') {
        reportProvisioned(entry)
      }
    },

    named(sessionIds) {
      for (const entry of entries.values()) {
        if (!sessionIds.has(entry.sessionId)) tell(entry, { type: 'NotNamed' })
      }
    },

    token: tokenOf,

    async tokenSoon(sessionId) {
      const until = performance.now() + TOKEN_WAIT_MS
      for (;;) {
        const token = tokenOf(sessionId)
        if (token !== undefined) return token
        const account = entries.get(sessionId)?.account ?? UNKNOWN
        if (account.status === 'unwanted') return 'unknown-session'
        const leftMs = until - performance.now()
        if (leftMs <= 0 || closed) {
          return account.status === 'wanted' ? 'no-token' : 'unknown-session'
        }
        await oneCall(waitingFor(sessionId), leftMs)
        if (unknownWaiting.get(sessionId)?.size === 0) unknownWaiting.delete(sessionId)
      }
    },

    foundBroken(sessionId) {
      const entry = entries.get(sessionId)
      const at = performance.now()
      if (entry === undefined || at - entry.brokenAtMs < BROKEN_MS) return
      entry.brokenAtMs = at
      tell(entry, { type: 'FoundBroken' })
    },

    account: (sessionId) => entries.get(sessionId)?.account ?? UNKNOWN,

    get sessionIds() {
      return [...entries.keys()]
    },

    get isIdle() {
      return [...entries.values()].every(({ working }) => !working)
    },

    forgetOld() {
      for (const { sessionId, account, working } of entries.values()) {
        if (!working && isForgettable(account, now())) entries.delete(sessionId)
      }
    },

    close() {
      closed = true
      for (const { retry, expiry, renewal, waiting } of entries.values()) {
        for (const timer of [retry, expiry, renewal]) clearTimeout(timer)
        for (const wake of waiting) wake()
      }
    },
  }
}

function later(ms: number, task: () => void): NodeJS.Timeout {
  return setTimeout(task, Math.min(Math.max(ms, 0), TIMER_MS_MAX)).unref()
}

/** Waits until somebody calls, or the time is over. */
function oneCall(waiting: Set<() => void>, ms: number): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer)
      waiting.delete(done)
      resolve()
    }
    const timer = setTimeout(done, ms)
    waiting.add(done)
  })
}
