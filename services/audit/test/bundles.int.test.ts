import { randomBytes } from 'node:crypto'
import { createDatabase } from '@postern/fixtures'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { readEntries, readEntriesAt, type StoredEntry } from '../src/log/bundle-table.ts'
import { verifyStoredLog } from '../src/log/log-verification.ts'
import { type Audit, allLeaves, delivery, openAudit, record, records } from './audit-fixture.ts'

/** Batches of every size, some with records that do not compress, so that few bundles are read at once. */
const BATCHES = [1, 300, 40, 1, 1, 255, 256, 600, 2, 1000, 90]

let audit: Audit
let log: readonly string[]

beforeAll(async () => {
  audit = await openAudit(await createDatabase(inject('postgresUrl')))
  let first = 1
  for (const [at, count] of BATCHES.entries()) {
    const userAgent = at % 3 === 2 ? randomBytes(3000).toString('base64') : 'kubectl'
    const batch = Array.from({ length: count }, (_, n) =>
      record({ auditID: `a-${first + n}`, userAgent: userAgent.slice(n % 100) }),
    )
    await audit.writer.write([delivery('g1', first, batch)])
    first += count
  }
  log = (await allLeaves(audit)).map((leaf) => leaf.toString())
})
afterAll(async () => {
  await audit.close()
})

async function gathered(reading: AsyncIterable<readonly StoredEntry[]>) {
  const read: (readonly [number, string])[] = []
  for await (const entries of reading) {
    read.push(...entries.map(({ idx, body }) => [idx, body.toString()] as const))
  }
  return read
}

const ENTRIES = BATCHES.reduce((sum, count) => sum + count, 0)
const place = fc.nat(ENTRIES + 300)

test('any part of the log is read in order, whatever was written together', async () => {
  expect(log).toHaveLength(ENTRIES)
  await fc.assert(
    fc.asyncProperty(place, fc.nat(1200), async (first, count) => {
      const read = await gathered(readEntries(audit.db, { first, before: first + count }))
      const wanted = log.slice(first, first + count)
      expect(read).toEqual(wanted.map((body, at) => [first + at, body]))
    }),
    { numRuns: 40 },
  )
})

test('any entries are read in the order in which they are asked for, and none that is not there', async () => {
  const some = fc.uniqueArray(place, { maxLength: 300 })
  await fc.assert(
    fc.asyncProperty(some, fc.boolean(), async (places, ascending) => {
      const sorted = places.toSorted((one, other) => (ascending ? one - other : other - one))
      const read = await gathered(readEntriesAt(audit.db, sorted))
      const wanted = sorted.flatMap((idx) => {
        const body = log[idx]
        return body === undefined ? [] : [[idx, body]]
      })
      expect(read).toEqual(wanted)
    }),
    { numRuns: 40 },
  )
})

test('however numbers come again, late or across each other, each is in the log once', async () => {
  const fresh = await openAudit(await createDatabase(inject('postgresUrl')))
  const runs = fc.array(
    fc.record({
      gateway: fc.constantFrom('one', 'other'),
      first: fc.integer({ min: 1, max: 60 }),
      count: fc.integer({ min: 1, max: 25 }),
    }),
    { minLength: 1, maxLength: 8 },
  )
  try {
    await fc.assert(
      fc.asyncProperty(runs, fc.uuid(), fc.boolean(), async (wanted, run, together) => {
        const before = (await fresh.reader.head()).size
        const deliveries = wanted.map(({ gateway, first, count }) =>
          delivery(`${gateway}-${run}`, first, records(gateway, first, count)),
        )
        if (together) await fresh.writer.write(deliveries)
        else for (const each of deliveries) await fresh.writer.write([each])
        const taken = new Set(deliveries.flatMap((each) => each.records.map(String)))
        const written = await gathered(
          readEntries(fresh.db, { first: before, before: Number.MAX_SAFE_INTEGER }),
        )
        expect(written.map(([, body]) => body)).toEqual([...taken])
      }),
      { numRuns: 40 },
    )
    expect((await verifyStoredLog(fresh.db, fresh.verifierKey)).problems).toEqual([])
  } finally {
    await fresh.close()
  }
})
