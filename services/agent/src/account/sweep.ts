import { setTimeout } from 'node:timers/promises'
import type { Log } from '@postern/telemetry'
import type { Account } from './account.ts'
import type { AccountKeeper } from './account-keeper.ts'
import { keysFor, keyText } from './account-objects.ts'
import { removeExpired } from './clear-away.ts'
import type { ClusterObjects, FoundObject } from './cluster-objects.ts'

/** What a look at the cluster found that is not as it should be. */
export type Findings = {
  /** Objects of sessions that nobody ordered, or that have ended. */
  readonly orphans: readonly FoundObject[]
  /** Objects that a wanted session's order does not name. */
  readonly extra: readonly FoundObject[]
  /** Sessions of which something that was made is not there. */
  readonly broken: readonly string[]
}

/** Compares the agent's objects in the cluster with what is wanted. */
export function compare(
  found: readonly FoundObject[],
  accounts: ReadonlyMap<string, Account>,
): Findings {
  const seen = new Set(found.map(({ key }) => keyText(key)))
  const orphans: FoundObject[] = []
  const extra: FoundObject[] = []
  const wantedKeys = new Map<string, ReadonlySet<string>>()
  const broken: string[] = []
  for (const [sessionId, account] of accounts) {
    if (account.status !== 'wanted') continue
    const keys = keysFor(account.order)
    wantedKeys.set(sessionId, new Set(keys))
    const isMade = account.madeVersion === account.order.version
    if (isMade && !keys.every((key) => seen.has(key))) broken.push(sessionId)
  }
  for (const object of found) {
    const wanted = wantedKeys.get(object.sessionId)
    if (wanted === undefined) orphans.push(object)
    else if (!wanted.has(keyText(object.key))) extra.push(object)
  }
  return { orphans, extra, broken }
}

/** Another agent may have heard of a session a moment before this one. */
const DOUBT_MS = 3_000

/**
 * Removes what no session wants and mends what one wants: after a crash, a lost message, or somebody's
 * own kubectl. Before the session service has said everything, which `isSynced` tells, only what has
 * expired goes.
 */
export function createSweep(needs: {
  readonly objects: ClusterObjects
  readonly keeper: AccountKeeper
  readonly isSynced: () => boolean
  readonly now: () => Date
  readonly log: Log
  readonly signal: AbortSignal
  readonly doubtMs?: number
}): () => Promise<void> {
  const { objects, keeper, isSynced, now, log, signal, doubtMs = DOUBT_MS } = needs
  let sweeping: Promise<void> | undefined

  const accountsNow = () =>
    new Map(keeper.sessionIds.map((sessionId) => [sessionId, keeper.account(sessionId)]))

  /** What was the same before and after the look. */
  function unchanged(before: ReadonlyMap<string, Account>): ReadonlyMap<string, Account> {
    return new Map(
      [...before].filter(([sessionId, account]) => {
        return keeper.account(sessionId) === account
      }),
    )
  }

  const isWanted = (sessionId: string) => keeper.account(sessionId).status === 'wanted'

  async function sweepOnce(): Promise<void> {
    keeper.forgetOld()
    const before = accountsNow()
    const found = await objects.list()
    const settled = unchanged(before)
    const changed = new Set([...before.keys()].filter((sessionId) => !settled.has(sessionId)))
    const { orphans, extra, broken } = compare(
      found.filter(({ sessionId }) => !changed.has(sessionId)),
      settled,
    )
    for (const sessionId of broken) {
      log.warn({ sessionId }, 'account was incomplete in the cluster')
      keeper.foundBroken(sessionId)
    }
    await objects.remove(extra)
    if (orphans.length === 0) return
    await setTimeout(doubtMs, undefined, { signal, ref: false })
    const still = orphans.filter(({ sessionId }) => isSynced() && !isWanted(sessionId))
    await objects.remove(still)
    if (still.length > 0) log.warn({ objects: still.length }, 'orphaned objects removed')
  }

  return async () => {
    if (signal.aborted) return
    const work = () =>
      isSynced() ? sweepOnce() : removeExpired({ objects, log, now, except: isWanted })
    sweeping ??= work().finally(() => {
      sweeping = undefined
    })
    await sweeping
  }
}
