import { rejections } from '@postern/errors'
import type { Decider } from '@postern/eventing'
import { isSame } from '../naming/equality-rules.ts'
import { checkName, checkText } from '../naming/name-rules.ts'
import { checkRules, type PolicyRule } from './rbac-rules.ts'

/** A named set of Kubernetes RBAC rules, the same on every cluster. */
export type Role =
  | { status: 'absent' }
  | { status: 'deleted' }
  | { status: 'active'; roleId: string; name: string; description: string; rules: PolicyRule[] }

export type RoleCommand =
  | { type: 'CreateRole'; roleId: string; name: string; description: string; rules: PolicyRule[] }
  | { type: 'ChangeRole'; description: string; rules: PolicyRule[] }
  | { type: 'DeleteRole' }

export type RoleEvent =
  | { type: 'RoleCreated'; roleId: string; name: string; description: string; rules: PolicyRule[] }
  | { type: 'RoleChanged'; roleId: string; description: string; rules: PolicyRule[] }
  | { type: 'RoleDeleted'; roleId: string }

export const roleRejected = rejections({
  ROLE_EXISTS: ['already_exists', 'there is a role with this name'],
  ROLE_NOT_FOUND: ['not_found', 'there is no such role'],
  ROLE_IN_USE: ['failed_precondition', 'grants name this role; revoke or change them first'],
})

export const role: Decider<Role, RoleCommand, RoleEvent> = {
  initial: { status: 'absent' },

  decide(command, state) {
    switch (command.type) {
      case 'CreateRole': {
        const { roleId, name, description, rules } = command
        if (state.status !== 'absent') throw roleRejected('ROLE_EXISTS')
        checkName(name)
        checkText(description)
        checkRules(rules)
        return [{ type: 'RoleCreated', roleId, name, description, rules }]
      }
      case 'ChangeRole': {
        const { description, rules } = command
        if (state.status !== 'active') throw roleRejected('ROLE_NOT_FOUND')
        checkText(description)
        checkRules(rules)
        if (description === state.description && isSame(rules, state.rules)) return []
        return [{ type: 'RoleChanged', roleId: state.roleId, description, rules }]
      }
      case 'DeleteRole':
        if (state.status === 'absent') throw roleRejected('ROLE_NOT_FOUND')
        // A retried deletion already has what it wants.
        if (state.status === 'deleted') return []
        return [{ type: 'RoleDeleted', roleId: state.roleId }]
    }
  },

  evolve(state, event) {
    switch (event.type) {
      case 'RoleCreated': {
        const { roleId, name, description, rules } = event
        return { status: 'active', roleId, name, description, rules }
      }
      case 'RoleChanged': {
        if (state.status !== 'active') return state
        return { ...state, description: event.description, rules: event.rules }
      }
      case 'RoleDeleted':
        return { status: 'deleted' }
    }
  },
}
