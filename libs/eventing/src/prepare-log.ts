import { messageOf } from '@postern/errors'
import type { Log } from '@postern/telemetry'
import type { Kysely } from 'kysely'
import { Migrator } from 'kysely/migration'
import pg from 'pg'
import { openMaintenance } from './database.ts'
import type { DomainEvent } from './decider.ts'
import { adoptOrigin } from './epoch.ts'
import type { EventLogOptions } from './event-log.ts'
import { createLogTables } from './log-schema.ts'
import { schemaOf } from './names.ts'
import { pause } from './pause.ts'
import { catchUp } from './projector.ts'

const WAIT_MS_MAX = 30_000
const RETRY_MS = 500
const NEVER = new AbortController().signal

/** Everything that has to be done to a log before it is used, with time to do it. */
export async function prepareLog<Database, Event extends DomainEvent>(
  options: Pick<
    EventLogOptions<Database, Event>,
    'databaseUrl' | 'service' | 'log' | 'migrations' | 'projections' | 'codec'
  >,
): Promise<void> {
  const { service, log } = options
  const db = openMaintenance<Database>(options)
  try {
    await untilReachable(log, async () => {
      await db.transaction().execute(async (tx) => await createLogTables(tx, service))
    })
    await migrate(db, options)
    await adoptOrigin(db, log)
    const rebuilt = await catchUp(db, options)
    if (rebuilt.length > 0) log.info({ projections: rebuilt }, 'projections were rebuilt')
  } catch (cause) {
    throw new Error(`preparing the event log of ${service}: ${messageOf(cause)}`, { cause })
  } finally {
    await db.destroy()
  }
}

async function migrate<Database, Event extends DomainEvent>(
  db: Kysely<Database>,
  { service, migrations }: Pick<EventLogOptions<Database, Event>, 'service' | 'migrations'>,
): Promise<void> {
  const migrator = new Migrator({
    db,
    provider: { getMigrations: async () => ({ ...migrations }) },
    migrationTableSchema: schemaOf(service),
  })
  const { error, results } = await migrator.migrateToLatest()
  if (error === undefined) return
  const failed = results?.find(({ status }) => status === 'Error')?.migrationName
  throw new Error(`the migration ${failed ?? 'set'} failed: ${messageOf(error)}`, { cause: error })
}

/** A database that starts at the same time as the service is waited for. */
async function untilReachable(log: Log, attempt: () => Promise<void>): Promise<void> {
  const deadline = performance.now() + WAIT_MS_MAX
  for (;;) {
    try {
      await attempt()
      return
    } catch (error) {
      if (!isUnreachable(error) || performance.now() > deadline) throw error
      log.warn({ error: messageOf(error) }, 'PostgreSQL cannot be reached yet')
      await pause(RETRY_MS, NEVER)
    }
  }
}

const CANNOT_CONNECT_NOW = '57P03'

function isUnreachable(error: unknown): boolean {
  if (error instanceof pg.DatabaseError) return error.code === CANNOT_CONNECT_NOW
  return error instanceof Error && (hasCode(error) || /timeout|terminated/i.test(error.message))
}

function hasCode(error: Error): boolean {
  const unreachable = ['ECONNREFUSED', 'ECONNRESET', 'ETIMEDOUT', 'ENOTFOUND', 'EAI_AGAIN']
  return 'code' in error && unreachable.some((code) => code === error.code)
}
