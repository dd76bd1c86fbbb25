import { eventCodec } from '@postern/eventing'
import {
  GrantChanged,
  GrantCreated,
  GrantRevoked,
  RoleChanged,
  RoleCreated,
  RoleDeleted,
} from '@postern/proto/postern/policy/events/v1/events'
import { knownEventsOnly } from './known-events.ts'

export const policyCodec = knownEventsOnly(
  eventCodec('postern.policy.events.v1', {
    GrantChanged,
    GrantCreated,
    GrantRevoked,
    RoleChanged,
    RoleCreated,
    RoleDeleted,
  }),
)

export type PolicyEvent = ReturnType<typeof policyCodec.decode>
