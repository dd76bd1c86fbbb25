import { defineService } from '@postern/service'
import { composePolicy } from './compose.ts'
import { type PolicyConfig, policySettings } from './config.ts'
import type { PolicyDatabase } from './database.ts'
import { rolesAndGrants } from './migrations/0001-roles-and-grants.ts'
import { policyCodec } from './policy-codec.ts'
import type { PolicyEvent } from './policy-event.ts'
import { rolesAndGrantsNow } from './roles-and-grants-projection.ts'

/** Roles and grants, and the explanation of every decision made by them. Not on the request path. */
export const policyService = defineService<PolicyConfig, PolicyDatabase, PolicyEvent>({
  name: 'policy',
  settings: policySettings,
  log: {
    codec: policyCodec,
    projections: [rolesAndGrantsNow],
    migrations: { '0001-roles-and-grants': rolesAndGrants },
  },
  compose: composePolicy,
})
