import type { Projection } from '@postern/eventing'
import type { PolicyDatabase } from './database.ts'
import { grantRejected } from './grant/grant.ts'
import type { PolicyEvent } from './policy-event.ts'
import { roleRejected } from './role/role.ts'

/** Which roles and grants there are: what names are unique in. A grant holds on to its role. */
export const rolesAndGrantsNow: Projection<PolicyDatabase, PolicyEvent> = {
  name: 'roles-and-grants',
  version: 1,
  tables: ['roles', 'grants'],

  async apply(db, { event, at }) {
    switch (event.type) {
      case 'RoleCreated': {
        const { roleId: role_id, name, description } = event
        const row = { role_id, name, description, rules: JSON.stringify(event.rules) }
        await db.insertInto('roles').values(row).execute()
        return
      }
      case 'RoleChanged': {
        const { description } = event
        const changes = { description, rules: JSON.stringify(event.rules) }
        await db.updateTable('roles').set(changes).where('role_id', '=', event.roleId).execute()
        return
      }
      case 'RoleDeleted':
        await db.deleteFrom('roles').where('role_id', '=', event.roleId).execute()
        return
      case 'GrantCreated': {
        const { grantId: grant_id, name, terms } = event
        const row = { grant_id, name, role_id: terms.roleId, terms: JSON.stringify(terms) }
        await db.insertInto('grants').values(row).execute()
        return
      }
      case 'GrantChanged': {
        const { terms } = event
        const changes = { role_id: terms.roleId, terms: JSON.stringify(terms) }
        await db.updateTable('grants').set(changes).where('grant_id', '=', event.grantId).execute()
        return
      }
      case 'GrantRevoked': {
        const changes = { role_id: null, revoked_at: at }
        await db.updateTable('grants').set(changes).where('grant_id', '=', event.grantId).execute()
      }
    }
  },

  conflicts: {
    roles_name_unique: () => roleRejected('ROLE_EXISTS'),
    grants_name_unique: () => grantRejected('GRANT_EXISTS'),
    grants_role_exists: () => roleRejected('ROLE_IN_USE'),
  },
}
