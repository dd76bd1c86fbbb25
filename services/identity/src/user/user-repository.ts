import type { Actor, EventStore } from '@postern/eventing'
import { type Id, isId } from '@postern/ids'
import { cutPage, type Page } from '@postern/rpc'
import { type Kysely, sql, type Transaction } from 'kysely'
import type { IdentityDatabase } from '../database.ts'
import { refuseLossOfAdministrators } from '../group/administrators.ts'
import type { IdentityEvent } from '../identity-event.ts'
import { type UserCommand, user, userRejected } from './user.ts'

export type UserRepository = ReturnType<typeof createUserRepository>
type Needs = {
  store: EventStore<IdentityDatabase, IdentityEvent>
  db: Kysely<IdentityDatabase>
  now: () => Date
}
type Guard = (db: Transaction<IdentityDatabase>) => Promise<void>
type UserId = Id<'user'>

export function createUserRepository({ store, db, now }: Needs) {
  /** A guard runs under the lock of the log's head: what it sees is still so at the commit. */
  const execute = async (
    userId: UserId,
    command: UserCommand,
    actor: Actor,
    guard: Guard = async () => undefined,
  ) => {
    await store.execute({ stream: `user-${userId}`, decider: user, command, actor, guard })
  }
  const keepHash = (userId: UserId, passwordHash: string): Guard => {
    const row = { user_id: userId, password_hash: passwordHash, set_at: now().toISOString() }
    return async (tx) => {
      const insert = tx.insertInto('credentials').values(row)
      await insert.onConflict((old) => old.column('user_id').doUpdateSet(row)).execute()
    }
  }

  /** Whatever its case. */
  async function findByName(name: string) {
    const query = db.selectFrom('users').where(sql`lower(name)`, '=', name.toLowerCase())
    return await query.selectAll().executeTakeFirst()
  }

  return {
    async create(
      order: Omit<UserCommand & { type: 'CreateUser' }, 'type' | 'withPassword'> & {
        userId: UserId
      },
      passwordHash: string | undefined,
      actor: Actor,
    ) {
      const withPassword = passwordHash !== undefined
      const guard = withPassword ? keepHash(order.userId, passwordHash) : undefined
      await execute(order.userId, { type: 'CreateUser', ...order, withPassword }, actor, guard)
    },

    async disable(userId: UserId, reason: string, actor: Actor) {
      await execute(userId, { type: 'DisableUser', reason }, actor, async (tx) => {
        await refuseLossOfAdministrators(tx, { userId })
      })
    },

    async enable(userId: UserId, actor: Actor) {
      await execute(userId, { type: 'EnableUser' }, actor)
    },

    /** The hash goes in the same transaction. */
    async delete(userId: UserId, actor: Actor) {
      await execute(userId, { type: 'DeleteUser' }, actor, async (tx) => {
        await refuseLossOfAdministrators(tx, { userId })
        await tx.deleteFrom('credentials').where('user_id', '=', userId).execute()
      })
    },

    /** `replaces` is the hash of the password that was shown to be known; it must still be the one. */
    async setPassword(userId: UserId, passwordHash: string, actor: Actor, replaces?: string) {
      await execute(userId, { type: 'SetPassword' }, actor, async (tx) => {
        if (replaces !== undefined) await refuseUnlessPassword(tx, userId, replaces)
        await keepHash(userId, passwordHash)(tx)
      })
    },

    /** The hash of the user's password; `undefined` where there is none. */
    async passwordHash(userId: string): Promise<string | undefined> {
      const query = db.selectFrom('credentials').where('user_id', '=', userId)
      return (await query.select('password_hash').executeTakeFirst())?.password_hash
    },

    findByName,

    /** By id or by name. Deleted users are not found. */
    async find(reference: string) {
      if (!isId(reference)) return await findByName(reference)
      const query = db.selectFrom('users').where('user_id', '=', reference)
      return await query.selectAll().executeTakeFirst()
    },

    /** Users by name. */
    async list(page: Page) {
      const users = await db
        .selectFrom('users')
        .selectAll()
        .where(sql<string>`lower(name)`, '>', page.after)
        .orderBy(sql`lower(name)`)
        .limit(page.limit + 1)
        .execute()
      return cutPage(users, page, ({ name }) => name.toLowerCase())
    },

    /** Names of the groups that each of the users is in, sorted. */
    async groupNames(userIds: readonly string[]): Promise<Map<string, string[]>> {
      const names = new Map(userIds.map((userId) => [userId, [] as string[]]))
      if (userIds.length === 0) return names
      const rows = await db
        .selectFrom('group_members')
        .innerJoin('groups', 'groups.group_id', 'group_members.group_id')
        .where('group_members.user_id', 'in', [...userIds])
        .select(['group_members.user_id', 'groups.name'])
        .orderBy('groups.name')
        .execute()
      for (const { user_id, name } of rows) names.get(user_id)?.push(name)
      return names
    },
  }
}

/** @throws Rejection PASSWORD_CHANGED when another password was set since it was checked */
export async function refuseUnlessPassword(
  db: Kysely<IdentityDatabase>,
  userId: string,
  passwordHash: string,
): Promise<void> {
  const query = db.selectFrom('credentials').where('user_id', '=', userId)
  const row = await query.select('password_hash').executeTakeFirst()
  if (row?.password_hash !== passwordHash) throw userRejected('PASSWORD_CHANGED')
}
