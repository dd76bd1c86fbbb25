import type { Grant, Role } from '@postern/access'
import { draftMap } from './draft-map.ts'
import type { PolicyEvent } from './policy-codec.ts'

/** What policy's log says about roles and grants. */
export type PolicyState = {
  readonly roles: ReadonlyMap<string, Role>
  readonly grants: ReadonlyMap<string, Grant>
}

export const NO_POLICY: PolicyState = { roles: new Map(), grants: new Map() }

/** Pure; the same however the log is cut into batches. */
export function foldPolicy(
  state: PolicyState,
  batch: readonly { readonly event: PolicyEvent }[],
): PolicyState {
  const roles = draftMap(state.roles)
  const grants = draftMap(state.grants)
  for (const { event } of batch) {
    switch (event.type) {
      case 'RoleCreated': {
        const { roleId: id, name, rules } = event
        roles.set(id, { id, name, rules })
        break
      }
      case 'RoleChanged': {
        const role = roles.get(event.roleId)
        if (role !== undefined) roles.set(role.id, { ...role, rules: event.rules })
        break
      }
      case 'RoleDeleted':
        roles.delete(event.roleId)
        break
      case 'GrantCreated': {
        const { grantId: id, name, terms } = event
        grants.set(id, { ...terms, id, name })
        break
      }
      case 'GrantChanged': {
        const grant = grants.get(event.grantId)
        if (grant === undefined) break
        grants.set(grant.id, { ...event.terms, id: grant.id, name: grant.name })
        break
      }
      case 'GrantRevoked':
        grants.delete(event.grantId)
        break
    }
  }
  return { roles: roles.done(), grants: grants.done() }
}
