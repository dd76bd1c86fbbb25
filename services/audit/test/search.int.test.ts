import { createDatabase } from '@postern/fixtures'
import { contextAs } from '@postern/rpc/testing'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { createRecordHandlers } from '../src/record/record-rpc.ts'
import { searchRecords } from '../src/record/record-search.ts'
import { type Audit, delivery, openAudit, record } from './audit-fixture.ts'
import {
  CLUSTERS,
  DECISIONS,
  everything,
  expected,
  FACTS,
  NAMESPACES,
  RESOURCES,
  searchOf,
  USERS,
  VERBS,
  writeFacts,
} from './search-facts.ts'

let audit: Audit
let search: ReturnType<typeof searchOf>

beforeAll(async () => {
  audit = await openAudit(await createDatabase(inject('postgresUrl')))
  search = searchOf(audit)
  await writeFacts(audit)
})
afterAll(async () => {
  await audit.close()
})

const noTimes = { since: undefined, until: undefined }

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
    fc.nat(360).map((at) => `request-${at}`),
  ),
  since: fc.option(fc.constantFrom('2026-11-21T09:00:00.000002Z', '2026-11-22T00:00:00Z'), {
    nil: undefined,
  }),
  until: fc.constant(undefined),
  openOnly: fc.boolean(),
  ascending: fc.boolean(),
  afterIndex: fc.option(fc.bigInt(0n, 2500n), { nil: undefined }),
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
    fc.asyncProperty(filter, fc.integer({ min: 7, max: 900 }), async (request, pageSize) => {
      const found: number[] = []
      let pageToken = ''
      do {
        const page = await search({ ...request, pageSize, pageToken })
        expect(page.indexes.length).toBeLessThanOrEqual(pageSize)
        found.push(...page.indexes)
        pageToken = page.next
      } while (pageToken !== '')
      expect(found).toEqual(expected(request, FACTS))
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

test('a record is found however many blocks have what is looked for, and no such record', async () => {
  const fresh = await openAudit(await createDatabase(inject('postgresUrl')))
  try {
    const wanted = { user: { username: 'lead' }, verb: 'delete' }
    const others = Array.from({ length: 5000 }, (_, at) =>
      record(at % 2 === 0 ? { verb: 'delete', user: { username: 'trainee' } } : { verb: 'get' }),
    )
    const all = [record(wanted), ...others, record(wanted)]
    for (let at = 0; at < all.length; at += 1000) {
      await fresh.writer.write([delivery('g1', at + 1, all.slice(at, at + 1000))])
    }
    const found = async (ascending: boolean, limit: number) => {
      const { records, more } = await searchRecords(fresh.db, {
        filter: { ...everything, user: 'lead', verb: 'delete', decision: '', ...noTimes },
        range: { after: -1n, before: BigInt(all.length), ascending },
        limit,
        bytesMax: 1024 * 1024,
        signal: new AbortController().signal,
      })
      return { indexes: records.map(({ index }) => index), more }
    }
    expect(await found(true, 10)).toEqual({ indexes: [0, 5001], more: false })
    expect(await found(false, 10)).toEqual({ indexes: [5001, 0], more: false })
    expect(await found(false, 1)).toEqual({ indexes: [5001], more: true })
  } finally {
    await fresh.close()
  }
})

test('a search ends with whoever asked for it', async () => {
  const search = searchRecords(audit.db, {
    filter: { ...everything, decision: '', ...noTimes },
    range: { after: -1n, before: BigInt(FACTS), ascending: true },
    limit: 10,
    bytesMax: 1024,
    signal: AbortSignal.abort(new Error('gone')),
  })
  await expect(search).rejects.toThrow('gone')
})
