import type { Actor, EventStore } from '@postern/eventing'
import { type Id, isId, parseId } from '@postern/ids'
import { cutPage, type Page } from '@postern/rpc'
import type { Kysely, Transaction } from 'kysely'
import type { PolicyDatabase } from '../database.ts'
import type { PolicyEvent } from '../policy-event.ts'
import { type RoleCommand, role, roleRejected } from './role.ts'

export type RoleRepository = ReturnType<typeof createRoleRepository>
type Needs = { store: EventStore<PolicyDatabase, PolicyEvent>; db: Kysely<PolicyDatabase> }

export function createRoleRepository({ store, db }: Needs) {
  async function find(reference: string) {
    const column = isId(reference) ? 'role_id' : 'name'
    const query = db.selectFrom('roles').where(column, '=', reference)
    return await query.selectAll().executeTakeFirst()
  }

  return {
    async execute(roleId: Id<'role'>, command: RoleCommand, actor: Actor) {
      await store.execute({
        stream: `role-${roleId}`,
        decider: role,
        command,
        actor,
        async guard(tx) {
          if (command.type === 'DeleteRole') await refuseWhileInUse(tx, roleId)
        },
      })
    },

    /** By id or name. */
    find,

    /** An id is taken as it is: what was deleted can be named only so. @throws Rejection ROLE_NOT_FOUND */
    async resolve(reference: string): Promise<Id<'role'>> {
      if (isId(reference)) return parseId('role', reference)
      const found = await find(reference)
      if (found === undefined) throw roleRejected('ROLE_NOT_FOUND')
      return parseId('role', found.role_id)
    },

    /** Roles by name. */
    async list(page: Page) {
      const query = db.selectFrom('roles').where('name', '>', page.after).orderBy('name')
      const rows = await query
        .limit(page.limit + 1)
        .selectAll()
        .execute()
      return cutPage(rows, page, ({ name }) => name)
    },

    /** Names by id, of the roles that there are. */
    async names(roleIds: readonly string[]): Promise<Map<string, string>> {
      if (roleIds.length === 0) return new Map()
      const query = db.selectFrom('roles').where('role_id', 'in', [...roleIds])
      const rows = await query.select(['role_id', 'name']).execute()
      return new Map(rows.map(({ role_id, name }) => [role_id, name]))
    },
  }
}

async function refuseWhileInUse(db: Transaction<PolicyDatabase>, roleId: string): Promise<void> {
  const query = db.selectFrom('grants').where('role_id', '=', roleId)
  const user = await query.select('name').limit(1).executeTakeFirst()
  if (user !== undefined) throw roleRejected('ROLE_IN_USE', { grant: user.name })
}
