import { rejections } from '@postern/errors'
import { newId } from '@postern/ids'
import { UserKind } from '@postern/proto/postern/identity/events/v1/events'
import { UserServiceDefinition } from '@postern/proto/postern/identity/v1/user'
import { parsePage, register } from '@postern/rpc'
import type { AttemptLimits } from '../password/attempt-limits.ts'
import type { PasswordHasher } from '../password/password-hasher.ts'
import { checkPassword } from '../password/password-rules.ts'
import { HUMAN, type UserKind as Kind, SERVICE, userRejected } from './user.ts'
import { endUserOf, resolveOwnOrPermitted, resolveUser } from './user-reference.ts'
import type { UserRepository } from './user-repository.ts'

type Needs = {
  users: UserRepository
  hasher: PasswordHasher
  limits: AttemptLimits
  now: () => Date
}

const rejected = rejections({
  INVALID_KIND: ['invalid_argument', 'a user is of kind HUMAN or SERVICE'],
  OLD_PASSWORD_WRONG: [
    'permission_denied',
    'the present password is wrong; an administrator can set a new one without it',
  ],
})

export function createUserRpc({ users, hasher, limits, now }: Needs) {
  async function toUsers(rows: readonly Row[]) {
    const groups = await users.groupNames(rows.map(({ user_id }) => user_id))
    return rows.map((row) => ({
      id: row.user_id,
      name: row.name,
      displayName: row.display_name,
      kind: toKind(row.kind),
      disabled: row.disabled,
      groups: groups.get(row.user_id) ?? [],
      createdAt: row.created_at.toISOString(),
    }))
  }

  async function show(userId: string) {
    const row = await users.find(userId)
    if (row === undefined) throw userRejected('USER_NOT_FOUND')
    const [shown] = await toUsers([row])
    return { user: shown }
  }

  return register(UserServiceDefinition, {
    async createUser({ name, displayName, kind, password }, { call }) {
      const userId = newId('user')
      if (password !== '') checkPassword(password)
      const passwordHash = password === '' ? undefined : await hasher.hash(password)
      const order = { userId, name, displayName, kind: parseKind(kind) }
      await users.create(order, passwordHash, call.actor)
      return await show(userId)
    },

    async listUsers(request) {
      const { rows, nextPageToken } = await users.list(parsePage(request))
      return { users: await toUsers(rows), nextPageToken }
    },

    async getUser(request, { call }) {
      const permission = 'identity.users.get'
      return await show(await resolveOwnOrPermitted(users, call, request.user, permission))
    },

    async disableUser(request, { call }) {
      await users.disable(await resolveUser(users, request.user), request.reason, call.actor)
      return {}
    },

    async enableUser(request, { call }) {
      await users.enable(await resolveUser(users, request.user), call.actor)
      return {}
    },

    async deleteUser(request, { call }) {
      await users.delete(await resolveUser(users, request.user), call.actor)
      return {}
    },

    async setPassword(request, { call }) {
      const permission = 'identity.users.set-password'
      const userId = await resolveOwnOrPermitted(users, call, request.user, permission)
      checkPassword(request.newPassword)
      const caller = endUserOf(call)
      if (userId !== caller.userId) {
        await users.setPassword(userId, await hasher.hash(request.newPassword), call.actor)
        return {}
      }
      // A token alone, perhaps a stolen one, must not be enough to take the account over.
      const attempt = limits.begin(caller.userName, now())
      const replaces = await users.passwordHash(userId)
      const isRight = await hasher.isRight(request.oldPassword, replaces)
      if (!isRight) throw rejected('OLD_PASSWORD_WRONG')
      attempt.succeeded()
      await users.setPassword(userId, await hasher.hash(request.newPassword), call.actor, replaces)
      return {}
    },
  })
}

type Row = NonNullable<Awaited<ReturnType<UserRepository['find']>>>

function parseKind(kind: UserKind): Kind {
  switch (kind) {
    case UserKind.USER_KIND_UNSPECIFIED:
    case UserKind.USER_KIND_HUMAN:
      return HUMAN
    case UserKind.USER_KIND_SERVICE:
      return SERVICE
    case UserKind.UNRECOGNIZED:
      break
  }
  // Any other number that came over the wire, too.
  throw rejected('INVALID_KIND')
}

function toKind(kind: number): UserKind {
  return kind === SERVICE ? UserKind.USER_KIND_SERVICE : UserKind.USER_KIND_HUMAN
}
