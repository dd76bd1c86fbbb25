import { createDatabase } from '@postern/fixtures'
import type { SearchRecordsRequest } from '@postern/proto/postern/audit/v1/audit'
import { contextAs } from '@postern/rpc/testing'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { rebuildRecords } from '../src/record/rebuild-records.ts'
import { createRecordHandlers } from '../src/record/record-rpc.ts'
import { searchRecords } from '../src/record/record-search.ts'
import { type Audit, delivery, openAudit, record } from './audit-fixture.ts'

const USERS = ['lead', 'trainee', 'x'.repeat(700)]
const CLUSTERS = ['prod-1', 'prod-2']
const NAMESPACES = ['shop', 'kube-system', '']
const VERBS = ['get', 'create']
const RESOURCES = ['pods', 'pods/exec', 'secrets']
const DECISIONS = ['allow', 'deny']
const STAGES = ['RequestReceived', 'ResponseStarted', 'ResponseComplete', 'Panic']
const TIMES = ['2026-11-21T09:00:00.000001Z', '2026-11-21T09:00:00.000002Z', '2026-11-22T00:00:00Z']

type Fact = {
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
  auditId: fc.nat(60).map((at) => `request-${at}`),
  stage: fc.constantFrom(...STAGES),
  receivedAt: fc.constantFrom(...TIMES),
  gateway: fc.constantFrom('g1', 'g2'),
})

let audit: Audit
let log: readonly Fact[]
let search: (request: Partial<SearchRecordsRequest>) => Promise<{ indexes: number[]; next: string }>

beforeAll(async () => {
  audit = await openAudit(await createDatabase(inject('postgresUrl')))
  const handlers = createRecordHandlers({
    log: audit.reader,
    search: async (wanted) => await searchRecords(audit.db, wanted),
  })
  search = async (request) => {
    const answer = await handlers.searchRecords({ ...everything, ...request }, contextAs())
    const records = answer.records ?? []
    return {
      indexes: records.map(({ index }) => Number(index)),
      next: answer.nextPageToken ?? '',
    }
  }
  log = fc.sample(fact, { numRuns: 400, seed: 7 })
  const next = new Map<string, number>()
  const deliveries = log.map((each) => {
    const first = next.get(each.gateway) ?? 1
    next.set(each.gateway, first + 1)
    return delivery(each.gateway, first, [toRecord(each)])
  })
  // Intents and their outcomes come together, and apart.
  for (let at = 0, count = 1; at < deliveries.length; at += count, count = (count % 9) + 1) {
    await audit.writer.write(deliveries.slice(at, at + count))
  }
})
afterAll(async () => {
  await audit.close()
})

const everything: SearchRecordsRequest = {
  user: '',
  cluster: '',
  namespace: '',
  verb: '',
  resource: '',
  decision: '',
  auditId: '',
  openOnly: false,
  ascending: false,
  pageSize: 1000,
  pageToken: '',
}

function toRecord(each: Fact): Buffer {
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

/** The answer by definition, from the facts alone. */
function expected(request: Partial<SearchRecordsRequest>): number[] {
  const wanted = { ...everything, ...request }
  const found = log.flatMap((each, index) => {
    const same = (
      ['user', 'cluster', 'namespace', 'verb', 'resource', 'decision', 'auditId'] as const
    ).every((name) => wanted[name] === '' || wanted[name] === each[name])
    const since = wanted.since === undefined || micros(each.receivedAt) >= micros(wanted.since)
    const until = wanted.until === undefined || micros(each.receivedAt) < micros(wanted.until)
    const open = !wanted.openOnly || isOpen(each, index)
    const after = wanted.afterIndex === undefined || BigInt(index) > wanted.afterIndex
    return same && since && until && open && after ? [index] : []
  })
  return wanted.ascending ? found : found.toReversed()
}

function isOpen({ stage, auditId, gateway }: Fact, index: number): boolean {
  const closed = log
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

const anyOf = (values: readonly string[]) =>
  fc.oneof({ weight: 2, arbitrary: fc.constant('') }, fc.constantFrom(...values))
const filter = fc.record({
  user: anyOf([...USERS, 'nobody']),
  cluster: anyOf(CLUSTERS),
  namespace: anyOf(NAMESPACES),
  verb: anyOf(VERBS),
  resource: anyOf(RESOURCES),
  decision: anyOf(DECISIONS),
  auditId: fc.oneof(
    { weight: 4, arbitrary: fc.constant('') },
    fc.nat(60).map((at) => `request-${at}`),
  ),
  since: fc.option(fc.constantFrom('2026-11-21T09:00:00.000002Z', '2026-11-22T00:00:00Z'), {
    nil: undefined,
  }),
  until: fc.constant(undefined),
  openOnly: fc.boolean(),
  ascending: fc.boolean(),
  afterIndex: fc.option(fc.bigInt(0n, 500n), { nil: undefined }),
})

test('every search finds what matches, and nothing else, in its order', async () => {
  await fc.assert(
    fc.asyncProperty(filter, async (request) => {
      expect((await search(request)).indexes).toEqual(expected(request))
    }),
    { numRuns: 200 },
  )
})

test('pages of any size put together are the whole answer, each record once', async () => {
  await fc.assert(
    fc.asyncProperty(filter, fc.integer({ min: 1, max: 90 }), async (request, pageSize) => {
      const found: number[] = []
      let pageToken = ''
      do {
        const page = await search({ ...request, pageSize, pageToken })
        expect(page.indexes.length).toBeLessThanOrEqual(pageSize)
        found.push(...page.indexes)
        pageToken = page.next
      } while (pageToken !== '')
      expect(found).toEqual(expected(request))
    }),
    { numRuns: 25 },
  )
})

test('until is exclusive, to the microsecond', async () => {
  const until = '2026-11-21T09:00:00.000002Z'
  expect((await search({ until })).indexes).toEqual(expected({ until }))
  expect((await search({ since: until, until })).indexes).toEqual([])
})

test('records that come while pages are read neither shift nor lengthen them', async () => {
  const fresh = await openAudit(await createDatabase(inject('postgresUrl')))
  try {
    const handlers = createRecordHandlers({
      log: fresh.reader,
      search: async (wanted) => await searchRecords(fresh.db, wanted),
    })
    const append = async (first: number) =>
      await fresh.writer.write([
        delivery('g1', first, [record({ auditID: `a${first}` }), record({ auditID: `b${first}` })]),
      ])
    await append(1)
    await append(3)
    for (const ascending of [true, false]) {
      const request = { ...everything, ascending, pageSize: 3 }
      const one = await handlers.searchRecords(request, contextAs())
      await append(ascending ? 5 : 7)
      const two = await handlers.searchRecords(
        { ...request, pageToken: one.nextPageToken ?? '' },
        contextAs(),
      )
      expect(one.records).toHaveLength(3)
      expect(two.records).toHaveLength(ascending ? 1 : 3)
      expect(two.nextPageToken).toBe('')
    }
  } finally {
    await fresh.close()
  }
})

test('a page never grows larger than a client takes, however large its records are', async () => {
  const fresh = await openAudit(await createDatabase(inject('postgresUrl')))
  try {
    const large = Array.from({ length: 120 }, (_, at) =>
      record({ auditID: `large-${at}`, requestURI: `/${'x'.repeat(58_000)}` }),
    )
    await fresh.writer.write([delivery('g1', 1, large)])
    const handlers = createRecordHandlers({
      log: fresh.reader,
      search: async (wanted) => await searchRecords(fresh.db, wanted),
    })
    const request = { ...everything, ascending: true }
    const indexes: number[] = []
    let pageToken = ''
    do {
      const page = await handlers.searchRecords({ ...request, pageToken }, contextAs())
      const records = page.records ?? []
      const bytes = records.reduce((sum, { event = '' }) => sum + event.length, 0)
      expect(bytes).toBeLessThanOrEqual(3 * 1024 * 1024)
      indexes.push(...records.map(({ index }) => Number(index)))
      pageToken = page.nextPageToken ?? ''
    } while (pageToken !== '')
    expect(indexes).toEqual(large.map((_, at) => at))

    const leaves = await fresh.reader.leaves(0n, 1000)
    expect(leaves.length).toBeLessThan(60)
    expect(leaves.length).toBeGreaterThan(40)
  } finally {
    await fresh.close()
  }
})

test.each([
  { what: 'a page of more than 1,000', request: { pageSize: 1001 }, reason: 'INVALID_PAGE_SIZE' },
  { what: 'another decision', request: { decision: 'maybe' }, reason: 'DECISION_INVALID' },
  { what: 'a foreign page token', request: { pageToken: 'nonsense' }, reason: 'PAGE_TOKEN' },
  { what: 'a very long filter', request: { user: 'x'.repeat(1025) }, reason: 'FILTER_TOO_LONG' },
  { what: 'a year of five digits', request: { since: '+012026-01-01T00:00:00Z' }, reason: 'TIME' },
  { what: 'the year 0', request: { until: '0000-01-01T00:00:00Z' }, reason: 'TIME_RANGE' },
  {
    what: 'a range turned round',
    request: { since: '2026-01-02T00:00:00Z', until: '2026-01-01T00:00:00Z' },
    reason: 'TIME_RANGE',
  },
])('$what is refused', async ({ request, reason }) => {
  await expect(search(request)).rejects.toMatchObject({
    reason: expect.stringContaining(reason) as unknown,
    category: 'invalid_argument',
  })
})

test('filters are values, whatever they contain', async () => {
  for (const text of ["' or true --", '%', 'a\0b', '\ud800', '\\', '$1']) {
    expect((await search({ user: text, resource: text, auditId: text })).indexes).toEqual([])
  }
})

test('the search table is the fold of the log: folded again it is equal', async () => {
  expect(await rebuildRecords(audit.db, { verify: true })).toEqual({ entries: 400, different: 0 })
  expect(await rebuildRecords(audit.db, { verify: false })).toEqual({ entries: 400, different: 0 })
  expect((await search({})).indexes).toEqual(expected({}))
})

test('a search table that was altered is seen, kept by a verification and put right by a rebuild', async () => {
  await audit.db
    .updateTable('record')
    .set({ user_name: 'someone else' })
    .where('idx', '=', 3)
    .execute()
  await audit.db.updateTable('record').set({ open: true }).where('stage', '=', 'Panic').execute()
  await audit.db.deleteFrom('record').where('idx', '=', 399).execute()
  const panics = log.filter(({ stage }, at) => stage === 'Panic' && at !== 3 && at !== 399).length
  const different = panics + 2
  expect(await rebuildRecords(audit.db, { verify: true })).toEqual({ entries: 400, different })
  expect((await search({ user: 'someone else' })).indexes).toEqual([3])
  expect(await rebuildRecords(audit.db, { verify: false })).toEqual({ entries: 400, different })
  expect(await rebuildRecords(audit.db, { verify: true })).toEqual({ entries: 400, different: 0 })
  expect((await search({ openOnly: true })).indexes).toEqual(expected({ openOnly: true }))
})
