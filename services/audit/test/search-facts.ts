import type { SearchRecordsRequest } from '@postern/proto/postern/audit/v1/audit'
import { contextAs } from '@postern/rpc/testing'
import fc from 'fast-check'
import { createRecordHandlers } from '../src/record/record-rpc.ts'
import { searchRecords } from '../src/record/record-search.ts'
import { type Audit, delivery, record } from './audit-fixture.ts'

export const USERS = ['lead', 'trainee', 'x'.repeat(700)]
export const CLUSTERS = ['prod-1', 'prod-2']
export const NAMESPACES = ['shop', 'kube-system', '']
export const VERBS = ['get', 'create']
export const RESOURCES = ['pods', 'pods/exec', 'secrets']
export const DECISIONS = ['allow', 'deny']
const STAGES = ['RequestReceived', 'ResponseStarted', 'ResponseComplete', 'Panic']
export const TIMES = [
  '2026-11-21T09:00:00.000001Z',
  '2026-11-21T09:00:00.000002Z',
  '2026-11-22T00:00:00Z',
]

/** What a record of the log says. */
export type Fact = {
  user: string
  cluster: string
  namespace: string
  verb: string
  resource: string
  decision: string
  auditId: string
  stage: string
  receivedAt: string
  gateway: string
}

const fact: fc.Arbitrary<Fact> = fc.record({
  user: fc.constantFrom(...USERS),
  cluster: fc.constantFrom(...CLUSTERS),
  namespace: fc.constantFrom(...NAMESPACES),
  verb: fc.constantFrom(...VERBS),
  resource: fc.constantFrom(...RESOURCES),
  decision: fc.constantFrom(...DECISIONS),
  auditId: fc.nat(360).map((at) => `request-${at}`),
  stage: fc.constantFrom(...STAGES),
  receivedAt: fc.constantFrom(...TIMES),
  gateway: fc.constantFrom('g1', 'g2'),
})

/** The log that is searched: two blocks that are full, and entries behind them. */
export const FACTS = 2400
export const facts: readonly Fact[] = fc.sample(fact, { numRuns: FACTS, seed: 7 })

export async function writeFacts(audit: Audit): Promise<void> {
  const next = new Map<string, number>()
  const deliveries = facts.map((each) => {
    const first = next.get(each.gateway) ?? 1
    next.set(each.gateway, first + 1)
    return delivery(each.gateway, first, [toRecord(each)])
  })
  // Intents and their outcomes come together, and apart.
  for (let at = 0, count = 1; at < deliveries.length; at += count, count = (count % 59) + 1) {
    await audit.writer.write(deliveries.slice(at, at + count))
  }
}

/** Searches as the RPC does: a page. */
export function searchOf(audit: Audit) {
  const handlers = createRecordHandlers({
    log: audit.reader,
    search: async (wanted) => await searchRecords(audit.db, wanted),
  })
  return async (request: Partial<SearchRecordsRequest>) => {
    const answer = await handlers.searchRecords({ ...everything, ...request }, contextAs())
    const records = answer.records ?? []
    return {
      indexes: records.map(({ index }) => Number(index)),
      next: answer.nextPageToken ?? '',
    }
  }
}

const PAGE_MAX = 1000

export const everything: SearchRecordsRequest = {
  user: '',
  cluster: '',
  namespace: '',
  verb: '',
  resource: '',
  decision: '',
  auditId: '',
  openOnly: false,
  ascending: false,
  pageSize: PAGE_MAX,
  pageToken: '',
}

export function toRecord(each: Fact): Buffer {
  const [resource, subresource] = each.resource.split('/')
  return record({
    auditID: each.auditId,
    stage: each.stage,
    verb: each.verb,
    user: { username: each.user },
    objectRef: { resource, subresource, namespace: each.namespace },
    requestReceivedTimestamp: each.receivedAt,
    annotations: {
      'postern.dev/cluster': each.cluster,
      'postern.dev/decision': each.decision,
    },
  })
}

/** What is found by definition, from the facts alone: of the whole answer the largest page. */
export function expected(request: Partial<SearchRecordsRequest>, limit = PAGE_MAX): number[] {
  const wanted = { ...everything, ...request }
  const found = facts.flatMap((each, index) => {
    const same = (
      ['user', 'cluster', 'namespace', 'verb', 'resource', 'decision', 'auditId'] as const
    ).every((name) => wanted[name] === '' || wanted[name] === each[name])
    const since = wanted.since === undefined || micros(each.receivedAt) >= micros(wanted.since)
    const until = wanted.until === undefined || micros(each.receivedAt) < micros(wanted.until)
    const open = !wanted.openOnly || openIntents.has(index)
    const after = wanted.afterIndex === undefined || BigInt(index) > wanted.afterIndex
    return same && since && until && open && after ? [index] : []
  })
  const ordered = wanted.ascending ? found : found.toReversed()
  return ordered.slice(0, limit)
}

const openIntents = new Set(facts.flatMap((each, index) => (isOpen(each, index) ? [index] : [])))

function isOpen({ stage, auditId, gateway }: Fact, index: number): boolean {
  const closed = facts
    .slice(index + 1)
    .some(
      (later) =>
        later.auditId === auditId &&
        later.gateway === gateway &&
        (later.stage === 'ResponseComplete' || later.stage === 'Panic'),
    )
  return stage === 'RequestReceived' && !closed
}

function micros(at: string): string {
  return at.replace(/(?:\.(\d*))?Z$/, (_, digits = '') => `.${String(digits).padEnd(6, '0')}`)
}
