import { deepStrictEqual, ok } from 'node:assert/strict'
import { setTimeout } from 'node:timers/promises'
import { annotation, eventually, type PosternRecord } from '@postern/bootstrap'
import { CLUSTER, type E2eWorld } from '@postern/e2e/support'
import fc from 'fast-check'
import { type ClusterEvent, tailClusterAudit } from './cluster-audit-tail.ts'
import { differences, isUntold } from './compare-audits.ts'
import { type GeneratedRequest, generatedRequest } from './generated-request.ts'
import { createSender, type Sender } from './sender.ts'

const BATCH = 2_000
const WORKERS = 24
const STORED_MS_MAX = 120_000
const TOLD_MS_MAX = 30_000
const SHOWN_MAX = 5
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
 * recorded with what the cluster's own audit log says, request by request.
 */
export async function compareWithCluster(
  world: E2eWorld,
  options: { readonly count: number; readonly seed: number; readonly say: (text: string) => void },
): Promise<void> {
  const { count, seed, say } = options
  const senders: Sender[] = []
  for (const user of USERS) senders.push(await createSender(world, user))
  const outcomesOf = await followOutcomes(world)
  const cluster = tailClusterAudit(world.cluster(CLUSTER).auditLog)
  let forwarded = 0
  const began = performance.now()
  try {
    for (let done = 0; done < count; done += BATCH) {
      const size = Math.min(BATCH, count - done)
      const requests = fc.sample(generatedRequest, { seed: seed + done, numRuns: size })
      const answered = await sendAll(requests, senders, done)
      const outcomes = await outcomesOf(answered)
      const different = differences(outcomes, await settledEvents(cluster, outcomes))
      const shown = different.slice(0, SHOWN_MAX)
      const found = { seed: seed + done, differences: different.length, shown }
      deepStrictEqual(found, { seed: seed + done, differences: 0, shown: [] })
      forwarded += outcomes.filter((record) => annotation(record, 'end') !== '').length
      const seconds = ((performance.now() - began) / 1000).toFixed(0)
      say(`${done + size} requests, ${forwarded} forwarded, all as decided (${seconds} s)`)
    }
  } finally {
    cluster.close()
    for (const sender of senders) sender.close()
  }
  ok(forwarded > count / 4, `only ${forwarded} of ${count} were forwarded`)
  ok(forwarded < (count * 19) / 20, `${forwarded} of ${count} were: hardly any was refused`)
}

/** Answers the marks of those that were answered at all, with their statuses. */
async function sendAll(
  requests: readonly GeneratedRequest[],
  senders: readonly Sender[],
  from: number,
): Promise<Map<string, number>> {
  const answered = new Map<string, number>()
  const queue = requests.entries()
  const worker = async (number: number) => {
    const sender = senders[number % senders.length]
    for (const [index, request] of queue) {
      const mark = `${MARK}${from + index}`
      const status = (await sender?.send(request, mark)) ?? 0
      if (status !== 0) answered.set(mark, status)
    }
  }
  await Promise.all(Array.from({ length: WORKERS }, (_, number) => worker(number)))
  return answered
}

/** The cluster's events, once it has told of everything that reached it. */
async function settledEvents(
  cluster: { read(): ClusterEvent[] },
  outcomes: readonly PosternRecord[],
): Promise<ClusterEvent[]> {
  const events = cluster.read()
  const deadline = performance.now() + TOLD_MS_MAX
  while (isUntold(outcomes, events) && performance.now() < deadline) {
    await setTimeout(50)
    events.push(...cluster.read())
  }
  return events
}

/** The outcomes of the requests with these marks, and of others that have come meanwhile. */
async function followOutcomes(
  world: E2eWorld,
): Promise<(marks: ReadonlyMap<string, number>) => Promise<Outcome[]>> {
  let last = await eventually('the log to answer', STORED_MS_MAX, () => lastIndex(world))
  return async (marks) => {
    const outcomes: Outcome[] = []
    const missing = new Map(marks)
    await eventually('every outcome to be stored', STORED_MS_MAX, async () => {
      for (;;) {
        const page = await recordsAfter(world, last)
        if (page.length === 0) break
        last = page.at(-1)?.index ?? last
        for (const { event } of page) {
          const { userAgent = '' } = event
          if (event.stage !== 'ResponseComplete' || !userAgent.startsWith(MARK)) continue
          missing.delete(userAgent)
          outcomes.push(event)
        }
      }
      if (missing.size > 0) throw new Error(`not of ${JSON.stringify([...missing].slice(0, 20))}`)
    })
    return outcomes
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
  const path = `/v1/audit/records?ascending=true&pageSize=1000&afterIndex=${after}`
  const { records } = await world.admin.api.call('GET', path)
  if (!Array.isArray(records)) return []
  return records.map((record: { index: string; event: string }) => {
    const event: Outcome = JSON.parse(record.event)
    return { index: String(record.index), event }
  })
}
