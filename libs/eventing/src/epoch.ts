import type { Log } from '@postern/telemetry'
import { sql } from 'kysely'
import pg from 'pg'
import type { Executor } from './database.ts'

const INSUFFICIENT_PRIVILEGE = '42501'

/** Every reader of the log rebuilds. Does nothing when the epoch was changed by another already. */
export async function changeEpoch(db: Executor, from: string): Promise<void> {
  await sql`update head set epoch = gen_random_uuid() where epoch = ${from}`.execute(db)
}

/**
 * Changes the epoch when the log lies in another database, server or timeline than before: it was
 * restored or failed over, and what its readers know may be ahead of it.
 */
export async function adoptOrigin(db: Executor, log: Log): Promise<void> {
  const origin = await currentOrigin(db)
  if (origin === undefined) {
    log.warn(
      {},
      'the database role may not see where the log lies: change its epoch by hand after a restore',
    )
    return
  }
  const { rows } = await sql<{ origin: string; epoch: string }>`
    select origin, epoch from head`.execute(db)
  const [head] = rows
  if (head === undefined || head.origin === origin) return
  const isNew = head.origin === ''
  if (!isNew) log.warn({ from: head.origin, to: origin }, 'the log was moved: its epoch changes')
  await sql`
    update head set origin = ${origin}, epoch = ${isNew ? head.epoch : sql`gen_random_uuid()`}
    where origin = ${head.origin}`.execute(db)
}

/** Not in a transaction: managed databases may refuse to answer. */
async function currentOrigin(db: Executor): Promise<string | undefined> {
  try {
    const { rows } = await sql<{ origin: string }>`
      select concat_ws(':',
        (select system_identifier from pg_control_system()),
        substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8),
        (select oid from pg_database where datname = current_database())
      ) as origin`.execute(db)
    return rows[0]?.origin
  } catch (error) {
    if (error instanceof pg.DatabaseError && error.code === INSUFFICIENT_PRIVILEGE) return undefined
    throw error
  }
}
