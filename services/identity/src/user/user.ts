import { rejections } from '@postern/errors'
import type { Decider } from '@postern/eventing'
import { checkName, checkText } from '../naming/name-rules.ts'

/** A person, or a machine (a service identity), that Postern knows. */
export type User =
  | { status: 'absent' }
  | { status: 'enabled' | 'disabled' | 'deleted'; userId: string; name: string; kind: UserKind }

/** The numbers of `postern.identity.events.v1.UserKind`. */
export const HUMAN = 1
export const SERVICE = 2
export type UserKind = typeof HUMAN | typeof SERVICE

export type UserCommand =
  | {
      type: 'CreateUser'
      userId: string
      name: string
      displayName: string
      kind: UserKind
      withPassword: boolean
    }
  | { type: 'DisableUser'; reason: string }
  | { type: 'EnableUser' }
  | { type: 'DeleteUser' }
  | { type: 'SetPassword' }

export type UserEvent =
  | { type: 'UserCreated'; userId: string; name: string; displayName: string; kind: UserKind }
  | { type: 'UserDisabled'; userId: string; reason: string }
  | { type: 'UserEnabled'; userId: string }
  | { type: 'UserDeleted'; userId: string }
  | { type: 'PasswordSet'; userId: string }

export const userRejected = rejections({
  USER_EXISTS: ['already_exists', 'there is a user with this name'],
  USER_NOT_FOUND: ['not_found', 'there is no such user'],
  USER_DISABLED: ['failed_precondition', 'the user is disabled; enable the user first'],
  PASSWORD_CHANGED: [
    'unauthenticated',
    'the password was changed just now; sign in with the new one',
  ],
  SERVICE_HAS_NO_PASSWORD: [
    'failed_precondition',
    'a service identity has no password; issue a token for it',
  ],
})

/** Disabling, deleting and a new password end every token that the user has. */
export const user: Decider<User, UserCommand, UserEvent> = {
  initial: { status: 'absent' },

  decide(command, state) {
    if (command.type === 'CreateUser') return create(command, state)
    if (state.status === 'absent') throw userRejected('USER_NOT_FOUND')
    const { userId } = state
    if (state.status === 'deleted') {
      // A retried deletion already has what it wants; nothing else can be done to a deleted user.
      if (command.type === 'DeleteUser') return []
      throw userRejected('USER_NOT_FOUND')
    }
    switch (command.type) {
      case 'DisableUser':
        checkText(command.reason)
        if (state.status === 'disabled') return []
        return [{ type: 'UserDisabled', userId, reason: command.reason }]
      case 'EnableUser':
        if (state.status === 'enabled') return []
        return [{ type: 'UserEnabled', userId }]
      case 'DeleteUser':
        return [{ type: 'UserDeleted', userId }]
      case 'SetPassword':
        if (state.kind === SERVICE) throw userRejected('SERVICE_HAS_NO_PASSWORD')
        if (state.status === 'disabled') throw userRejected('USER_DISABLED')
        return [{ type: 'PasswordSet', userId }]
    }
  },

  evolve(state, event) {
    if (event.type === 'UserCreated') {
      const { userId, name, kind } = event
      return { status: 'enabled', userId, name, kind }
    }
    if (state.status === 'absent') return state
    switch (event.type) {
      case 'UserDisabled':
        return { ...state, status: 'disabled' }
      case 'UserEnabled':
        return { ...state, status: 'enabled' }
      case 'UserDeleted':
        return { ...state, status: 'deleted' }
      case 'PasswordSet':
        return state
    }
  },
}

function create(command: UserCommand & { type: 'CreateUser' }, state: User): UserEvent[] {
  const { userId, name, displayName, kind, withPassword } = command
  if (state.status !== 'absent') {
    // Set-up is retried under the same id until it is complete.
    if (state.status === 'enabled' && state.name === name && state.kind === kind) return []
    throw userRejected('USER_EXISTS')
  }
  checkName(name)
  checkText(displayName)
  if (kind === SERVICE && withPassword) throw userRejected('SERVICE_HAS_NO_PASSWORD')
  const created: UserEvent = { type: 'UserCreated', userId, name, displayName, kind }
  return withPassword ? [created, { type: 'PasswordSet', userId }] : [created]
}
