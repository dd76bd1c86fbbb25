import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { createDatabase } from '@postern/fixtures'
import { verifyLog } from '@postern/tlog'
import { sql } from 'kysely'
import { expect, inject, test } from 'vitest'
import { verifyStoredLog } from '../src/log/log-verification.ts'
import { rebuildRecords } from '../src/record/rebuild-records.ts'
import { allLeaves, openAudit, records, testKey } from './audit-fixture.ts'

const KILLS = 8
const program = new URL('crashing-gateway.ts', import.meta.url).pathname

/** Runs until so many batches were acknowledged; answers the highest number acknowledged. */
async function runUntil(
  child: ChildProcess,
  batches: number,
  onBatch: (seen: number) => void = () => undefined,
): Promise<number> {
  if (child.stdout === null) throw new Error('the child has no output')
  let acknowledged = 0
  let seen = 0
  for await (const line of createInterface({ input: child.stdout })) {
    const [word, number] = line.split(' ')
    if (word === 'ready' || word === 'stored') acknowledged = Number(number)
    if (word === 'stored') {
      seen += 1
      onBatch(seen)
    }
    if (seen >= batches) return acknowledged
  }
  throw new Error('the child ended by itself')
}

async function withGateway(
  work: (start: () => ChildProcess, databaseUrl: string) => Promise<void>,
): Promise<void> {
  const databaseUrl = await createDatabase(inject('postgresUrl'))
  const dir = mkdtempSync(join(tmpdir(), 'postern-audit-'))
  const keyFile = join(dir, 'log.pem')
  writeFileSync(keyFile, testKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 })
  const children: ChildProcess[] = []
  try {
    await work(() => {
      const args = ['--conditions=@postern/source', program, databaseUrl, keyFile, 'g1']
      const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
      children.push(child)
      return child
    }, databaseUrl)
  } finally {
    for (const child of children) child.kill('SIGKILL')
    rmSync(dir, { recursive: true, force: true })
  }
}

/** Everything acknowledged is in the log, nothing twice, nothing in another order. */
async function expectWholeLog(databaseUrl: string, acknowledged: number): Promise<void> {
  const audit = await openAudit(databaseUrl)
  try {
    const leaves = (await allLeaves(audit)).map((leaf) => leaf.toString())
    expect(leaves.length).toBeGreaterThanOrEqual(acknowledged)
    expect(leaves).toEqual(records('g1', 1, leaves.length).map((each) => each.toString()))
    expect(await verifyStoredLog(audit.db, audit.verifierKey)).toEqual({
      size: leaves.length,
      problems: [],
    })
    const verdict = await verifyLog({
      checkpoint: (await audit.reader.head()).note,
      verifierKey: audit.verifierKey,
      leaves: [leaves.map((leaf) => Buffer.from(leaf))],
    })
    expect(verdict).toMatchObject({ ok: true })
    expect(await rebuildRecords(audit.db, { verify: true })).toMatchObject({ different: 0 })
    expect((await audit.eventLog.rebuild({ verify: true })).equal).toBe(true)
    expect(await audit.db.selectFrom('spool_gap').selectAll().execute()).toEqual([])
  } finally {
    await audit.close()
  }
}

test('a sequencer that is killed in the middle of batches loses, doubles and reorders nothing', async () => {
  await withGateway(async (start, databaseUrl) => {
    let acknowledged = 0
    for (let kill = 0; kill < KILLS; kill += 1) {
      const child = start()
      acknowledged = await runUntil(child, 1 + kill * 2)
      // The next batch is on its way by now: the kill falls somewhere into it.
      const exited = once(child, 'exit')
      child.kill('SIGKILL')
      await exited
    }
    await expectWholeLog(databaseUrl, acknowledged)
  })
}, 60_000)

test('database connections that break in the middle of batches lose, double and reorder nothing', async () => {
  await withGateway(async (start, databaseUrl) => {
    const elsewhere = await openAudit(await createDatabase(inject('postgresUrl')))
    const name = new URL(databaseUrl).pathname.slice(1)
    const breaking: Promise<unknown>[] = []
    const child = start()
    const acknowledged = await runUntil(child, 40, (seen) => {
      if (seen % 5 !== 0) return
      breaking.push(
        sql`select pg_terminate_backend(pid) from pg_stat_activity where datname = ${name}`.execute(
          elsewhere.db,
        ),
      )
    })
    await Promise.all(breaking)
    await elsewhere.close()
    const exited = once(child, 'exit')
    child.kill('SIGKILL')
    await exited
    await expectWholeLog(databaseUrl, acknowledged)
  })
}, 60_000)
