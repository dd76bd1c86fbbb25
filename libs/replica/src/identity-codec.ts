import { eventCodec } from '@postern/eventing'
import {
  GroupCreated,
  GroupDeleted,
  GroupMemberAdded,
  GroupMemberRemoved,
  PasswordSet,
  SetupCompleted,
  TokenIssued,
  TokenRevoked,
  UserCreated,
  UserDeleted,
  UserDisabled,
  UserEnabled,
} from '@postern/proto/postern/identity/events/v1/events'
import { knownEventsOnly } from './known-events.ts'

export const identityCodec = knownEventsOnly(
  eventCodec('postern.identity.events.v1', {
    GroupCreated,
    GroupDeleted,
    GroupMemberAdded,
    GroupMemberRemoved,
    PasswordSet,
    SetupCompleted,
    TokenIssued,
    TokenRevoked,
    UserCreated,
    UserDeleted,
    UserDisabled,
    UserEnabled,
  }),
)

export type IdentityEvent = ReturnType<typeof identityCodec.decode>
