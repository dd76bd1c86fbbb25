import { createDatabase } from '@postern/fixtures'
import { verifyLog } from '@postern/tlog'
import { sql } from 'kysely'
import { describe, expect, inject, test } from 'vitest'
import { verifyStoredLog } from '../src/log/log-verification.ts'
import { type Audit, allLeaves, delivery, openAudit, records } from './audit-fixture.ts'

const ENTRIES = 701

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
      `update entry set body = 'x' where idx = 3`,
      `update entry set number = 9999 where idx = 3`,
      `delete from entry where idx = 3`,
      `truncate entry cascade`,
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
  test.each([
    {
      what: 'a flipped bit in an entry',
      alter: `update entry set body = set_byte(body, 40, get_byte(body, 40) # 1) where idx = 699`,
      found: /^entry 699 is not what was logged;.*not those that the checkpoint was signed for$/,
    },
    {
      what: 'a deleted entry',
      alter: `delete from entry where idx = 301`,
      found: /^entry 301 is missing;.*the checkpoint is for 701 entries, and 301 were found$/,
    },
    {
      what: 'the last entries cut off, with their tile',
      alter: `delete from invalid_record; delete from entry where idx >= 690;
        update tile set hashes = substr(hashes, 1, (690 - 512) * 32) where level = 0 and idx = 2`,
      found: /^the checkpoint is for 701 entries, and 690 were found$/,
    },
    {
      what: 'an entry put in at the end',
      alter: `insert into entry select 701, producer_id, 9999, body, stored_at from entry where idx = 1`,
      found:
        /^tile 2 of level 0 is missing or too short; the checkpoint is for 701 entries, and 702 were found$/,
    },
    {
      what: 'two entries changed over',
      alter: `update entry set body = (select body from entry e where e.idx = 17 - entry.idx)
        where idx in (8, 9)`,
      found: /^entry 8 is not what was logged/,
    },
    {
      what: 'an entry altered together with its leaf hash',
      alter: `update entry set body = body || ' ' where idx = 5;
        update tile set hashes = overlay(hashes placing
          sha256('\\x00'::bytea || (select body from entry where idx = 5)) from 5 * 32 + 1)
        where level = 0 and idx = 0`,
      found: /^hash 0 of level 1 is not what follows from the entries/,
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
      for (const table of ['entry', 'invalid_record', 'tile', 'log_head']) {
        await run(`alter table ${table} disable trigger all`)
      }
      await run(alter)
      const { problems } = await verifyStoredLog(audit.db, audit.verifierKey)
      expect(problems.join('; ')).toMatch(found)
    })
  })

  test('a flipped bit is found by those outside, who have only the checkpoint', async () => {
    await withLog(async (audit, run) => {
      const checkpoint = (await audit.reader.head()).note
      await run('alter table entry disable trigger all')
      await run(`update entry set body = set_byte(body, 9, get_byte(body, 9) # 128) where idx = 0`)
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
