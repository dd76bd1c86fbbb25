import { type Kysely, sql } from 'kysely'
import type { IdentityDatabase } from './database.ts'

type Db = Kysely<IdentityDatabase>

/**
 * Locks for guards, held until the transaction ends. A guard takes them before the store takes the
 * log's head, and none is taken after it, so that they cannot wait for each other in a circle.
 */
export async function lockUser(db: Db, userId: string): Promise<void> {
  await lock(db, `user-${userId}`)
}

/** Taken before `lockUser` where both are needed. */
export async function lockAdministrators(db: Db): Promise<void> {
  await lock(db, 'administrators')
}

async function lock(db: Db, what: string): Promise<void> {
  await sql`select pg_advisory_xact_lock(hashtextextended(${`identity.${what}`}, 0))`.execute(db)
}
