import { deepStrictEqual, ok } from 'node:assert/strict'
import { setTimeout } from 'node:timers/promises'
import { eventually, type PosternRecord } from '@postern/bootstrap'
import { CLUSTER, type E2eWorld } from '@postern/e2e/support'
import fc from 'fast-check'
import { tailClusterAudit } from './cluster-audit-tail.ts'
import { createComparison } from './compare-audits.ts'
import { type GeneratedRequest, generatedRequest } from './generated-request.ts'
import { createSender, type Sender } from './sender.ts'

const BATCH = 2_000
const WORKERS = 160
/** Answered, and not yet in the log: senders wait for it here. */
const BEHIND_MAX = 4_000
const LOOK_MS = 1_000
const SETTLED_MS_MAX = 120_000
const SAY_EVERY_MS = 20_000
const SHOWN_MAX = 5
const PAGE = 1_000
const MARK = 'differential-'
/** All that the cluster's install level lets an account have, everywhere, and the same in two namespaces. */
const USERS = [
  ...['a', 'b', 'c', 'd', 'e', 'f'].map((name) => {
    return { name: `wide-${name}`, namespaces: 'all' } as const
  }),
  { name: 'narrow-a', namespaces: ['team', 'default'] },
  { name: 'narrow-b', namespaces: ['team', 'default'] },
]

type Outcome = PosternRecord & { readonly userAgent?: string }

/**
 * Sends so many generated requests through the gateway to a real cluster, and compares what Postern
 * recorded with what the cluster's own audit log says, request by request, while they are sent.
 */
export async function compareWithCluster(
  world: E2eWorld,
  options: { readonly count: number; readonly seed: number; readonly say: (text: string) => void },
): Promise<void> {
  const { count, seed, say } = options
  const senders: Sender[] = []
  for (const user of USERS) senders.push(await createSender(world, user))
  const outcomes = await followOutcomes(world)
  const cluster = tailClusterAudit(world.cluster(CLUSTER).auditLog)
  const comparison = createComparison()
  /** Answered, and not yet recorded. */
  const marks = new Set<string>()
  const recorded = new Set<string>()
  const began = performance.now()
  let sent = 0
  let said = began

  const look = async () => {
    for (const outcome of await outcomes.next()) {
      const { userAgent = '' } = outcome
      if (!marks.delete(userAgent)) recorded.add(userAgent)
      comparison.outcome(outcome)
    }
    for (const event of cluster.read()) comparison.event(event)
    const shown = comparison.different.slice(0, SHOWN_MAX)
    deepStrictEqual({ seed, shown }, { seed, shown: [] })
    if (performance.now() - said < SAY_EVERY_MS) return
    said = performance.now()
    const seconds = ((said - began) / 1000).toFixed(0)
    say(`${sent} requests, ${comparison.forwarded} forwarded, all as decided (${seconds} s)`)
  }

  const queue = generated(count, seed)
  const worker = async (number: number) => {
    const sender = senders[number % senders.length]
    for (const [index, request] of queue) {
      while (marks.size > BEHIND_MAX && !state.over) await setTimeout(LOOK_MS)
      if (state.over) return
      const mark = `${MARK}${index}`
      const status = (await sender?.send(request, mark)) ?? 0
      sent += 1
      // The record may have been there before the answer.
      if (status !== 0 && !recorded.delete(mark)) marks.add(mark)
    }
  }
  const state = { over: false }
  try {
    const sending = Promise.all(Array.from({ length: WORKERS }, (_, number) => worker(number)))
    const sentAll = sending.finally(() => (state.over = true))
    sentAll.catch(() => {})
    while (!state.over) {
      await look()
      await setTimeout(LOOK_MS)
    }
    await sentAll
    await eventually('every request to stand in both logs', SETTLED_MS_MAX, async () => {
      await look()
      const missing = [...marks, ...comparison.untold()]
      deepStrictEqual({ seed, missing: missing.slice(0, SHOWN_MAX) }, { seed, missing: [] })
    })
  } finally {
    state.over = true
    cluster.close()
    for (const sender of senders) sender.close()
  }
  const { forwarded } = comparison
  say(`${count} requests, ${forwarded} forwarded, all as decided`)
  ok(forwarded > count / 8, `only ${forwarded} of ${count} were forwarded`)
  ok(forwarded < (count * 19) / 20, `${forwarded} of ${count} were: hardly any was refused`)
}

function* generated(count: number, seed: number): Generator<[number, GeneratedRequest]> {
  for (let done = 0; done < count; done += BATCH) {
    const numRuns = Math.min(BATCH, count - done)
    const batch = fc.sample(generatedRequest, { seed: seed + done, numRuns })
    for (const [index, request] of batch.entries()) yield [done + index, request]
  }
}

/** The outcomes of generated requests as the log stores them. */
async function followOutcomes(world: E2eWorld): Promise<{ next(): Promise<Outcome[]> }> {
  let last = await eventually('the log to answer', SETTLED_MS_MAX, () => lastIndex(world))
  return {
    async next() {
      const found: Outcome[] = []
      for (;;) {
        const after = last
        const page = await eventually('the log to answer', SETTLED_MS_MAX, () =>
          recordsAfter(world, after),
        )
        last = page.at(-1)?.index ?? last
        for (const { event } of page) {
          const { stage, userAgent = '' } = event
          if (stage === 'ResponseComplete' && userAgent.startsWith(MARK)) found.push(event)
        }
        if (page.length < PAGE) return found
      }
    },
  }
}

async function lastIndex(world: E2eWorld): Promise<string> {
  const { records } = await world.admin.api.call('GET', '/v1/audit/records?pageSize=1')
  const [last] = Array.isArray(records) ? records : []
  return String(last?.index ?? '0')
}

async function recordsAfter(
  world: E2eWorld,
  after: string,
): Promise<{ index: string; event: Outcome }[]> {
  const path = `/v1/audit/records?ascending=true&pageSize=${PAGE}&afterIndex=${after}`
  const { records } = await world.admin.api.call('GET', path)
  if (!Array.isArray(records)) return []
  return records.map((record: { index: string; event: string }) => {
    const event: Outcome = JSON.parse(record.event)
    return { index: String(record.index), event }
  })
}
