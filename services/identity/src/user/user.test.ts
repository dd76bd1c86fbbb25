import { given, play } from '@postern/eventing/testing'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { HUMAN, SERVICE, type UserCommand, type UserEvent, user } from './user.ts'

const at = { by: 'user:root', now: new Date('2026-01-01T00:00:00Z') }
const userId = '01900000-0000-7000-8000-000000000001'
const create: UserCommand & { type: 'CreateUser' } = {
  type: 'CreateUser',
  userId,
  name: 'alice',
  displayName: 'Alice',
  kind: HUMAN,
  withPassword: false,
}
const created: UserEvent = {
  type: 'UserCreated',
  userId,
  name: 'alice',
  displayName: 'Alice',
  kind: HUMAN,
}
const bot: UserEvent = { ...created, kind: SERVICE }
const disabled: UserEvent = { type: 'UserDisabled', userId, reason: 'left' }
const enabled: UserEvent = { type: 'UserEnabled', userId }
const deleted: UserEvent = { type: 'UserDeleted', userId }
const passwordSet: UserEvent = { type: 'PasswordSet', userId }

test('a user can be created with or without a password', () => {
  given(user, []).when(create, at).emits([created])
  given(user, [])
    .when({ ...create, withPassword: true }, at)
    .emits([created, passwordSet])
})

test.each<{ name: string; past: UserEvent[]; command: UserCommand }>([
  { name: 'creating the same user again', past: [created], command: create },
  {
    name: 'disabling a disabled user',
    past: [created, disabled],
    command: { type: 'DisableUser', reason: '' },
  },
  { name: 'enabling an enabled user', past: [created], command: { type: 'EnableUser' } },
  { name: 'deleting a deleted user', past: [created, deleted], command: { type: 'DeleteUser' } },
])('$name changes nothing', ({ past, command }) => {
  given(user, past).when(command, at).emits([])
})

test('disabling, enabling and deleting are recorded with the reason', () => {
  given(user, [created]).when({ type: 'DisableUser', reason: 'left' }, at).emits([disabled])
  given(user, [created, disabled]).when({ type: 'EnableUser' }, at).emits([enabled])
  given(user, [created, disabled]).when({ type: 'DeleteUser' }, at).emits([deleted])
})

test.each<{ name: string; past: UserEvent[]; command: UserCommand; reason: string }>([
  {
    name: 'another user under the id',
    past: [created],
    command: { ...create, name: 'bob' },
    reason: 'USER_EXISTS',
  },
  {
    name: 'bringing a deleted user back',
    past: [created, deleted],
    command: create,
    reason: 'USER_EXISTS',
  },
  {
    name: 'enabling a deleted user',
    past: [created, deleted],
    command: { type: 'EnableUser' },
    reason: 'USER_NOT_FOUND',
  },
  {
    name: 'deleting an absent user',
    past: [],
    command: { type: 'DeleteUser' },
    reason: 'USER_NOT_FOUND',
  },
  {
    name: 'a password for a service identity',
    past: [bot],
    command: { type: 'SetPassword' },
    reason: 'SERVICE_HAS_NO_PASSWORD',
  },
  {
    name: 'a service identity with a password',
    past: [],
    command: { ...create, kind: SERVICE, withPassword: true },
    reason: 'SERVICE_HAS_NO_PASSWORD',
  },
  {
    name: 'a password for a disabled user',
    past: [created, disabled],
    command: { type: 'SetPassword' },
    reason: 'USER_DISABLED',
  },
  {
    name: 'a reason with a line break',
    past: [created],
    command: { type: 'DisableUser', reason: 'a\nb' },
    reason: 'INVALID_TEXT',
  },
  {
    name: 'an over-long display name',
    past: [],
    command: { ...create, displayName: 'a'.repeat(501) },
    reason: 'INVALID_TEXT',
  },
])('$name is rejected', ({ past, command, reason }) => {
  given(user, past).when(command, at).rejects(reason)
})

test.each([
  '',
  '.',
  '..',
  '@',
  'a b',
  'a/b',
  'system:masters',
  'ali\u0441e',
  'a\u0000',
  'a'.repeat(254),
  userId,
])('a user cannot be named %j', (name) => {
  given(user, [])
    .when({ ...create, name }, at)
    .rejects('INVALID_NAME')
})

test.each(['a', 'alice@example.com', 'ci-bot_1', 'a+b', '1'])('a user can be named %j', (name) => {
  given(user, [])
    .when({ ...create, name }, at)
    .emits([{ ...created, name }])
})

test('whatever is asked in whatever order, states alternate and a deleted user stays deleted', () => {
  const command = fc.constantFrom<UserCommand[]>(
    create,
    { ...create, withPassword: true },
    { type: 'DisableUser', reason: '' },
    { type: 'EnableUser' },
    { type: 'DeleteUser' },
    { type: 'SetPassword' },
  )
  fc.assert(
    fc.property(fc.array(command, { maxLength: 40 }), (commands) => {
      const steps = play(
        user,
        commands.map((each) => ({ command: each, context: at })),
      )
      const types = steps.flatMap(({ events }) => events.map(({ type }) => type))
      const changes = types.filter((type) => type !== 'PasswordSet').join(' ')
      expect(changes).toMatch(
        /^(UserCreated( UserDisabled UserEnabled)*( UserDisabled)?( UserDeleted)?)?$/,
      )
      expect(types.join(' ')).not.toMatch(/UserDeleted PasswordSet|UserDisabled PasswordSet/)
    }),
  )
})
