import { type EventCodec, eventCodec } from '@postern/eventing'
import {
  GrantChanged,
  GrantCreated,
  GrantRevoked,
  RoleChanged,
  RoleCreated,
  RoleDeleted,
} from '@postern/proto/postern/policy/events/v1/events'
import type { PolicyEvent } from './policy-event.ts'

export const policyCodec: EventCodec<PolicyEvent> = eventCodec('postern.policy.events.v1', {
  RoleCreated,
  RoleChanged,
  RoleDeleted,
  GrantCreated,
  GrantChanged,
  GrantRevoked,
})
