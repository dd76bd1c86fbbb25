import type { GrantEvent } from './grant/grant.ts'
import type { RoleEvent } from './role/role.ts'

/** Every fact in policy's log. */
export type PolicyEvent = RoleEvent | GrantEvent
