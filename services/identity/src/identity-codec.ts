import { type EventCodec, eventCodec } from '@postern/eventing'
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
import { ADMINISTRATOR, AUDITOR, NO_ROLE, type PlatformRole } from './group/group.ts'
import type { IdentityEvent } from './identity-event.ts'
import { HUMAN, SERVICE, type UserKind } from './user/user.ts'

const messages = eventCodec('postern.identity.events.v1', {
  UserCreated,
  UserDisabled,
  UserEnabled,
  UserDeleted,
  PasswordSet,
  GroupCreated,
  GroupDeleted,
  GroupMemberAdded,
  GroupMemberRemoved,
  TokenIssued,
  TokenRevoked,
  SetupCompleted,
})

/**
 * Enumerations are open in proto and closed here: a log with a value that this version does not know
 * was written by a newer one, and is not guessed at.
 */
export const identityCodec: EventCodec<IdentityEvent> = {
  encode: messages.encode,
  decode(encoded) {
    const event = messages.decode(encoded)
    if (event?.type === 'UserCreated') return { ...event, kind: parseKind(event.kind) }
    if (event?.type === 'GroupCreated') {
      return { ...event, platformRole: parseRole(event.platformRole) }
    }
    return event
  },
}

function parseKind(kind: number): UserKind {
  if (kind === HUMAN || kind === SERVICE) return kind
  throw new Error(`the log has a kind of user that this version does not know: ${kind}`)
}

function parseRole(role: number): PlatformRole {
  if (role === NO_ROLE || role === ADMINISTRATOR || role === AUDITOR) return role
  throw new Error(`the log has a platform role that this version does not know: ${role}`)
}
