import type { Actor, EventStore } from '@postern/eventing'
import { type Id, isId, parseId } from '@postern/ids'
import { cutPage, type Page } from '@postern/rpc'
import type { Kysely } from 'kysely'
import type { PolicyDatabase } from '../database.ts'
import type { PolicyEvent } from '../policy-event.ts'
import { roleRejected } from '../role/role.ts'
import { type GrantCommand, grant, grantRejected } from './grant.ts'

export type GrantRepository = ReturnType<typeof createGrantRepository>
type Needs = { store: EventStore<PolicyDatabase, PolicyEvent>; db: Kysely<PolicyDatabase> }

export function createGrantRepository({ store, db }: Needs) {
  /** A name is that of the grant that holds, or else of the last that was revoked. */
  async function find(reference: string) {
    const column = isId(reference) ? 'grant_id' : 'name'
    return await db
      .selectFrom('grants')
      .where(column, '=', reference)
      .orderBy('revoked_at', (order) => order.desc().nullsFirst())
      .selectAll()
      .limit(1)
      .executeTakeFirst()
  }

  return {
    async execute(grantId: Id<'grant'>, command: GrantCommand, actor: Actor) {
      await store.execute({
        stream: `grant-${grantId}`,
        decider: grant,
        command,
        actor,
        async guard(tx) {
          if (command.type === 'RevokeGrant') return
          const query = tx.selectFrom('roles').where('role_id', '=', command.terms.roleId)
          const row = await query.select('role_id').executeTakeFirst()
          if (row === undefined) throw roleRejected('ROLE_NOT_FOUND')
        },
      })
    },

    /** By id or name. */
    find,

    /** @throws Rejection GRANT_NOT_FOUND */
    async resolve(reference: string): Promise<Id<'grant'>> {
      const found = await find(reference)
      if (found === undefined) throw grantRejected('GRANT_NOT_FOUND')
      return parseId('grant', found.grant_id)
    },

    /** Grants that were not revoked, by name. */
    async list(page: Page) {
      const rows = await db
        .selectFrom('grants')
        .where('revoked_at', 'is', null)
        .where('name', '>', page.after)
        .orderBy('name')
        .limit(page.limit + 1)
        .selectAll()
        .execute()
      return cutPage(rows, page, ({ name }) => name)
    },
  }
}
