import { newId } from '@postern/ids'
import { RoleServiceDefinition } from '@postern/proto/postern/policy/v1/role'
import { parsePage, register } from '@postern/rpc'
import type { PolicyRule } from './rbac-rules.ts'
import { roleRejected } from './role.ts'
import type { RoleRepository } from './role-repository.ts'

export function createRoleRpc({ roles }: { roles: RoleRepository }) {
  async function show(reference: string) {
    const row = await roles.find(reference)
    if (row === undefined) throw roleRejected('ROLE_NOT_FOUND')
    return { role: toRole(row) }
  }

  return register(RoleServiceDefinition, {
    async createRole({ name, description, rules }, { call }) {
      const roleId = newId('role')
      const command = { type: 'CreateRole' as const, roleId, name, description, rules }
      await roles.execute(roleId, command, call.actor)
      return await show(roleId)
    },

    async changeRole({ role, description, rules }, { call }) {
      const roleId = await roles.resolve(role)
      await roles.execute(roleId, { type: 'ChangeRole', description, rules }, call.actor)
      return await show(roleId)
    },

    async listRoles(request) {
      const { rows, nextPageToken } = await roles.list(parsePage(request))
      return { roles: rows.map(toRole), nextPageToken }
    },

    getRole: async (request) => await show(request.role),

    async deleteRole(request, { call }) {
      const roleId = await roles.resolve(request.role)
      await roles.execute(roleId, { type: 'DeleteRole' }, call.actor)
      return {}
    },
  })
}

type Row = { role_id: string; name: string; description: string; rules: PolicyRule[] }

function toRole({ role_id: id, name, description, rules }: Row) {
  return { id, name, description, rules }
}
