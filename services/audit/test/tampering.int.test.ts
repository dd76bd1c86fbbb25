import { createDatabase } from '@postern/fixtures'
import { leafHash, verifyLog } from '@postern/tlog'
import { sql } from 'kysely'
import { describe, expect, inject, test } from 'vitest'
import { insertEntries } from '../src/log/bundle-table.ts'
import { verifyStoredLog } from '../src/log/log-verification.ts'
import {
  type Audit,
  allLeaves,
  delivery,
  flipBit,
  openAudit,
  record,
  records,
  rewriteBundle,
  rewriteEntry,
} from './audit-fixture.ts'

const ENTRIES = 701
const LOG_TABLES = ['entry_bundle', 'producer_run', 'invalid_record', 'tile', 'log_head']

/** A log of its own, whose last entry stands for an invalid record, and a superuser beside it. */
async function withLog(
  work: (
    audit: Audit,
    run: (statement: string) => Promise<void>,
    databaseUrl: string,
  ) => Promise<void>,
): Promise<void> {
  const databaseUrl = await createDatabase(inject('postgresUrl'))
  const audit = await openAudit(databaseUrl)
  try {
    const delivered = [...records('g1', 1, ENTRIES - 1), Buffer.from('invalid')]
    await audit.sequencer.append(delivery('g1', 1, delivered))
    const run = async (statements: string) => {
      for (const statement of statements.split(';')) await sql.raw(statement).execute(audit.db)
    }
    await work(audit, run, databaseUrl)
  } finally {
    await audit.close()
  }
}

test('the database refuses to change, take back or shorten anything of the log', async () => {
  await withLog(async (_audit, run) => {
    const statements = [
      `update entry_bundle set bundle = 'x' where first_idx = 0`,
      `update entry_bundle set entries = 255 where first_idx = 0`,
      `delete from entry_bundle where first_idx = 0`,
      `truncate entry_bundle`,
      `update producer_run set last_number = 9999`,
      `delete from producer_run`,
      `truncate producer_run`,
      `update invalid_record set body = 'x'`,
      `delete from invalid_record`,
      `delete from tile`,
      `truncate tile`,
      `update tile set hashes = substr(hashes, 33) where octet_length(hashes) > 32`,
      `update tile set hashes = overlay(hashes placing '\\x00' from 1)`,
      `delete from log_head`,
      `update log_head set size = size - 1`,
      `update log_head set root = sha256('other')`,
    ]
    for (const statement of statements) {
      await expect(run(statement)).rejects.toThrow(/only grows/)
    }
  })
})

// Whoever owns the tables can switch the triggers off, so each of these must be found afterwards.
describe('when the triggers are switched off', () => {
  test.each<{ what: string; alter: string | ((audit: Audit) => Promise<void>); found: RegExp }>([
    {
      what: 'a flipped bit in an entry',
      alter: async ({ db }) => await rewriteEntry(db, 699, (body) => flipBit(body, 40)),
      found: /^entry 699 is not what was logged;.*not those that the checkpoint was signed for$/,
    },
    {
      what: 'a bundle that cannot be read any more',
      alter: `update entry_bundle set bundle = set_byte(bundle, 0, 1) where first_idx = 256`,
      found:
        /^the entries of the audit log from 256 on cannot be read;.*256 were found; an inv.* 700/,
    },
    {
      what: 'a deleted bundle',
      alter: `delete from entry_bundle where first_idx = 256`,
      found: /^entry 256 is missing; the checkpoint is for 701 entries, and 256 were found/,
    },
    {
      what: 'an entry taken out of its bundle',
      alter: async ({ db }) =>
        await rewriteBundle(db, 301, (bodies, first) => bodies.toSpliced(301 - first, 1)),
      found: /^entry 319 is missing; entry 301 is not what was logged;.* and 319 were found/,
    },
    {
      what: 'a bundle hidden in another',
      alter: async ({ db }) =>
        await insertEntries(db, [{ idx: 10, body: Buffer.of(1) }], new Date().toISOString()),
      found: /^entry 10 is there twice; the checkpoint is for 701 entries/,
    },
    {
      what: 'the last entries cut off, with their tile',
      alter: async ({ db }) => {
        await sql`delete from invalid_record`.execute(db)
        await rewriteBundle(db, 690, (bodies, first) => bodies.slice(0, 690 - first))
        await sql`update tile set hashes = substr(hashes, 1, (690 - 512) * 32)
          where level = 0 and idx = 2`.execute(db)
      },
      found: /^the checkpoint is for 701 entries, and 690 were found$/,
    },
    {
      what: 'an entry put in at the end',
      alter: async ({ db }) =>
        await insertEntries(db, [{ idx: 701, body: record() }], new Date().toISOString()),
      found:
        /^tile 2 of level 0 is missing or too short; the checkpoint is for 701 entries, and 702 were found$/,
    },
    {
      what: 'two entries changed over',
      alter: async ({ db }) =>
        await rewriteBundle(db, 8, (bodies) => [
          ...bodies.slice(0, 8),
          ...bodies.slice(8, 10).toReversed(),
          ...bodies.slice(10),
        ]),
      found: /^entry 8 is not what was logged/,
    },
    {
      what: 'an entry altered together with its leaf hash',
      alter: async ({ db }) => {
        const altered = record({ auditID: 'another' })
        await rewriteEntry(db, 5, () => altered)
        await sql`update tile set hashes = overlay(hashes placing ${Buffer.from(leafHash(altered))}
          from 5 * 32 + 1) where level = 0 and idx = 0`.execute(db)
      },
      found: /^hash 0 of level 1 is not what follows from the entries/,
    },
    {
      what: 'whose the entries are',
      alter: `delete from producer_run`,
      found: /^nothing says who delivered entry 0$/,
    },
    {
      what: 'an entry that was delivered, and is not there',
      alter: `update producer_run set last_number = last_number + 1`,
      found: /^entry 701 was delivered, and the log does not have it$/,
    },
    {
      what: 'a number of a producer that is there twice',
      alter: `insert into producer_run select producer_id, 7, 7, 3 from producer_run`,
      found: /^entry 3 was delivered twice; number 7 of producer .* is there twice;/,
    },
    {
      what: 'an invalid record of no entry',
      alter: `insert into invalid_record values (701, 'x')`,
      found: /^an invalid record is kept for entry 701, which was not found$/,
    },
    {
      what: 'an altered tile',
      alter: `update tile set hashes = overlay(hashes placing '\\x00000000' from 65)
        where level = 0 and idx = 2`,
      found: /^entry 514 is not what was logged$/,
    },
    {
      what: 'a changed invalid record',
      alter: `update invalid_record set body = body || 'x'`,
      found: /^the invalid record kept for entry 700 is not the one that was delivered$/,
    },
    {
      what: 'a head that is not the signed one',
      alter: `update log_head set size = size - 1`,
      found: /^the audit log is not what its checkpoint was signed for$/,
    },
    {
      what: 'a checkpoint with a damaged signature',
      alter: `update log_head set checkpoint = overlay(checkpoint placing 'AAAA' from length(checkpoint) - 20)`,
      found: /signed with another key/,
    },
  ])('$what is found', async ({ alter, found }) => {
    await withLog(async (audit, run) => {
      expect((await verifyStoredLog(audit.db, audit.verifierKey)).problems).toEqual([])
      for (const table of LOG_TABLES) {
        await run(`alter table ${table} disable trigger all`)
      }
      await (typeof alter === 'string' ? run(alter) : alter(audit))
      const { problems } = await verifyStoredLog(audit.db, audit.verifierKey)
      expect(problems.join('; ')).toMatch(found)
    })
  })

  test('a flipped bit is found by those outside, who have only the checkpoint', async () => {
    await withLog(async (audit) => {
      const checkpoint = (await audit.reader.head()).note
      await rewriteEntry(audit.db, 0, (body) => flipBit(body, 9))
      const { verifierKey } = audit
      const leaves = [await allLeaves(audit)]
      expect(await verifyLog({ checkpoint, verifierKey, leaves })).toMatchObject({
        ok: false,
        problem: 'ENTRIES_ALTERED',
      })
    })
  })

  test('a log whose tiles were altered is not written onto', async () => {
    await withLog(async (_audit, run, databaseUrl) => {
      await run('alter table tile disable trigger all')
      await run(`update tile set hashes = overlay(hashes placing '\\x00' from 40) where level = 1`)
      // A writer that knows the edge does not need the tiles; one that starts finds them altered.
      const restarted = await openAudit(databaseUrl)
      try {
        const append = restarted.sequencer.append(delivery('g1', 702, records('g1', 702, 1)))
        await expect(append).rejects.toThrow('the tiles of the audit log are not what')
      } finally {
        await restarted.close()
      }
    })
  })
})
