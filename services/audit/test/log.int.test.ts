import { generateKeyPairSync } from 'node:crypto'
import { createDatabase } from '@postern/fixtures'
import {
  leafHash,
  openCheckpoint,
  tileHashReader,
  verifyConsistency,
  verifyInclusion,
  verifyLog,
} from '@postern/tlog'
import { sql } from 'kysely'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { verifyStoredLog } from '../src/log/log-verification.ts'
import { tilesOf } from '../src/log/tile-table.ts'
import {
  type Audit,
  allLeaves,
  delivery,
  openAudit,
  record,
  records,
  spoolOf,
} from './audit-fixture.ts'

let databaseUrl: string
let audit: Audit

beforeAll(async () => {
  databaseUrl = await createDatabase(inject('postgresUrl'))
  audit = await openAudit(databaseUrl)
})
afterAll(async () => {
  await audit.close()
})

const verify = async () =>
  await verifyLog({
    checkpoint: (await audit.reader.head()).note,
    verifierKey: audit.verifierKey,
    leaves: [await allLeaves(audit)],
  })

test('the records of eight gateways that deliver at once are all there once, each in its order', async () => {
  const gateways = Array.from({ length: 8 }, (_, at) => `g${at}`)
  const batches = [1, 40, 41, 7, 300]
  await Promise.all(
    gateways.map(async (gateway) => {
      let first = 1
      for (const count of batches) {
        const stored = await audit.sequencer.append(
          delivery(gateway, first, records(gateway, first, count)),
        )
        expect(stored).toBe(BigInt(first + count - 1))
        first += count
      }
    }),
  )
  const leaves = (await allLeaves(audit)).map((leaf) => leaf.toString())
  for (const gateway of gateways) {
    const own = leaves.filter((leaf) => leaf.includes(`"auditID":"${gateway}-`))
    expect(own).toEqual(records(gateway, 1, 389).map((each) => each.toString()))
  }
  expect(leaves).toHaveLength(8 * 389)
  expect(await verify()).toMatchObject({ ok: true, size: 8 * 389 })
  expect((await verifyStoredLog(audit.db, audit.verifierKey)).problems).toEqual([])
})

test('a checkpoint of before is the beginning of one of after, and every record proves to be in it', async () => {
  const { verifierKey, reader } = audit
  const old = openCheckpoint((await reader.head()).note, verifierKey)
  await audit.sequencer.append(delivery('prover', 1, records('prover', 1, 500)))
  const tree = openCheckpoint((await reader.head()).note, verifierKey)
  expect(tree.size).toBe(old.size + 500)
  const proof = await reader.consistencyProof(BigInt(old.size), BigInt(tree.size))
  expect(verifyConsistency({ old, new: tree, proof })).toBe(true)
  const leaves = await allLeaves(audit)
  for (const index of [0, 255, 256, old.size, tree.size - 1]) {
    const inclusion = await reader.inclusionProof(BigInt(index), BigInt(tree.size))
    const leaf = leafHash(leaves[index] ?? Buffer.alloc(0))
    expect(verifyInclusion({ index, leaf, tree, proof: inclusion })).toBe(true)
  }
  const within = tileHashReader(tree.size, tilesOf(audit.db))
  const [first] = await within([{ level: 0, index: 0 }])
  expect(first).toEqual(leafHash(leaves[0] ?? Buffer.alloc(0)))
})

test('records that are delivered again are passed over, also in part', async () => {
  const before = (await audit.reader.head()).size
  const all = records('again', 1, 20)
  expect(await audit.sequencer.append(delivery('again', 1, all.slice(0, 10)))).toBe(10n)
  expect(await audit.sequencer.append(delivery('again', 1, all.slice(0, 10)))).toBe(10n)
  expect(await audit.sequencer.append(delivery('again', 6, all.slice(5)))).toBe(20n)
  expect(await audit.sequencer.append(delivery('again', 3, all.slice(2, 4)))).toBe(20n)
  const same = [1, 2, 3].map(async () => await audit.sequencer.append(delivery('again', 1, all)))
  expect(await Promise.all(same)).toEqual([20n, 20n, 20n])
  expect((await audit.reader.head()).size).toBe(before + 20)
})

test('numbers that jump are recorded as a gap, in the transaction of the records after it', async () => {
  const { id, name } = spoolOf('gappy')
  expect(await audit.sequencer.append(delivery('gappy', 1, records('gappy', 1, 5)))).toBe(5n)
  expect(await audit.sequencer.append(delivery('gappy', 9, records('gappy', 9, 2)))).toBe(10n)
  const registered = await audit.db
    .selectFrom('producer')
    .select(['id', 'name'])
    .where('id', '=', id)
    .execute()
  expect(registered).toEqual([{ id, name }])
  const gaps = await audit.db
    .selectFrom('spool_gap')
    .select(['first', 'last'])
    .where('producer_id', '=', id)
    .execute()
  expect(gaps).toEqual([{ first: 6n, last: 8n }])
  // What turns up late after all is stored, not mistaken for a repetition.
  const before = (await audit.reader.head()).size
  expect(await audit.sequencer.append(delivery('gappy', 5, records('gappy', 5, 5)))).toBe(10n)
  expect((await audit.reader.head()).size).toBe(before + 3)
})

test('a producer, a gap and the records they come with are there together or not at all', async () => {
  const { id } = spoolOf('torn')
  const known = async () => [
    await audit.db.selectFrom('producer').select('id').where('id', '=', id).execute(),
    await audit.db.selectFrom('spool_gap').select('first').where('producer_id', '=', id).execute(),
  ]
  const before = (await audit.reader.head()).size
  // The last thing that a transaction writes fails.
  await sql`alter table log_head rename column checkpoint to away`.execute(audit.db)
  await sql`alter table log_head add column checkpoint text generated always as (away) stored`.execute(
    audit.db,
  )
  const append = async () =>
    await audit.sequencer.append(delivery('torn', 3, records('torn', 3, 2)))
  await expect(append()).rejects.toThrow(/checkpoint/)
  expect(await known()).toEqual([[], []])
  await sql`alter table log_head drop column checkpoint`.execute(audit.db)
  await sql`alter table log_head rename column away to checkpoint`.execute(audit.db)
  expect((await audit.reader.head()).size).toBe(before)
  expect(await append()).toBe(4n)
  expect(await known()).toEqual([[{ id }], [{ first: 1n }]])
})

test('an invalid record does not stop its spool, and nothing of it is lost', async () => {
  const before = (await audit.reader.head()).size
  const bad = [
    Buffer.from('not json'),
    Buffer.alloc(0),
    Buffer.alloc(200_000, 0x61),
    record({ stage: 'Later' }),
  ]
  const good = record({ auditID: 'after-the-bad' })
  expect(await audit.sequencer.append(delivery('bad', 1, [...bad, good]))).toBe(5n)
  const leaves = (await audit.reader.leaves(BigInt(before), 10)).map((leaf) => leaf.toString())
  expect(leaves.slice(0, 4).every((leaf) => leaf.includes('"kind":"InvalidRecord"'))).toBe(true)
  expect(leaves[4]).toBe(good.toString())
  const kept = await audit.db
    .selectFrom('invalid_record')
    .select('body')
    .where('idx', '>=', before)
    .orderBy('idx')
    .execute()
  expect(kept.map(({ body }) => body)).toEqual(bad)
  expect((await verifyStoredLog(audit.db, audit.verifierKey)).problems).toEqual([])
})

test('text that PostgreSQL cannot hold or index does not stop anybody', async () => {
  const names = [
    'a\0b',
    '\ud800',
    'x'.repeat(20_000),
    '{"}\\\\',
    'NULL',
    "'; drop table entry_bundle; --",
  ]
  const nasty = names.map((username, at) => record({ auditID: `nasty-${at}`, user: { username } }))
  expect(await audit.sequencer.append(delivery('nasty', 1, nasty))).toBe(6n)
})

test('two sequencers on one database take turns on one log', async () => {
  const other = await openAudit(databaseUrl)
  try {
    await Promise.all(
      [audit, other].flatMap(({ sequencer }, at) =>
        [1, 2].map(async (spool) => {
          for (let first = 1; first < 200; first += 20) {
            const gateway = `turns${at}${spool}`
            await sequencer.append(delivery(gateway, first, records(gateway, first, 20)))
          }
        }),
      ),
    )
    // The same spool through both: a connection that moved to the other instance.
    for (let first = 1; first < 100; first += 10) {
      const through = (first - 1) % 20 === 0 ? audit : other
      const stored = await through.sequencer.append(
        delivery('moving', first, records('moving', first, 10)),
      )
      expect(stored).toBe(BigInt(first + 9))
    }
    // One that knows the spool writes for others behind the other instance: what it knew is old then.
    const through = async ({ sequencer }: Audit, gateway: string, first: number) =>
      await sequencer.append(delivery(gateway, first, records(gateway, first, 10)))
    expect(await through(other, 'moving', 101)).toBe(110n)
    expect(await through(audit, 'staying', 1)).toBe(10n)
    expect(await through(audit, 'moving', 101)).toBe(110n)
    const leaves = (await allLeaves(audit)).map((leaf) => leaf.toString())
    const moving = leaves.filter((leaf) => leaf.includes('"auditID":"moving-'))
    expect(moving).toEqual(records('moving', 1, 110).map((each) => each.toString()))
    expect(new Set(leaves).size).toBe(leaves.length)
    expect(await verify()).toMatchObject({ ok: true })
  } finally {
    await other.close()
  }
})

test('a log goes on after a restart as if nothing had happened', async () => {
  const before = (await audit.reader.head()).note
  await audit.close()
  audit = await openAudit(databaseUrl)
  await audit.sequencer.append(delivery('restarted', 1, records('restarted', 1, 300)))
  const verdict = await verifyLog({
    checkpoint: (await audit.reader.head()).note,
    remembered: before,
    verifierKey: audit.verifierKey,
    leaves: [await allLeaves(audit)],
  })
  expect(verdict).toMatchObject({ ok: true })
})

test('a log that was signed with another key is not written onto', async () => {
  const before = (await audit.reader.head()).note
  const stranger = await openAudit(databaseUrl, {
    key: generateKeyPairSync('ed25519').privateKey,
  })
  try {
    const append = stranger.sequencer.append(delivery('stranger', 1, records('stranger', 1, 1)))
    await expect(append).rejects.toThrow('signed with another key')
    expect((await audit.reader.head()).note).toBe(before)
  } finally {
    await stranger.close()
  }
})
