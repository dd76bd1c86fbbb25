import type { Projection, Recorded } from '@postern/eventing'
import type { Transaction } from 'kysely'
import type { IdentityDatabase } from './database.ts'
import { type GroupEvent, groupRejected } from './group/group.ts'
import type { IdentityEvent } from './identity-event.ts'
import type { TokenEvent } from './token/token.ts'
import { type UserEvent, userRejected } from './user/user.ts'

type Db = Transaction<IdentityDatabase>

/** Who there is, in which groups, with which tokens: what names are unique in and tokens are checked against. */
export const directory: Projection<IdentityDatabase, IdentityEvent> = {
  name: 'directory',
  version: 1,
  tables: ['users', 'groups', 'group_members', 'tokens'],

  async apply(db, { event, at }) {
    switch (event.type) {
      case 'UserCreated':
      case 'UserDisabled':
      case 'UserEnabled':
      case 'UserDeleted':
      case 'PasswordSet':
        return await applyUser(db, event, at)
      case 'GroupCreated':
      case 'GroupDeleted':
      case 'GroupMemberAdded':
      case 'GroupMemberRemoved':
        return await applyGroup(db, event)
      case 'TokenIssued':
      case 'TokenRevoked':
        return await applyToken(db, event, at)
      case 'SetupCompleted':
        return
    }
  },

  conflicts: {
    users_name_unique: () => userRejected('USER_EXISTS'),
    groups_name_unique: () => groupRejected('GROUP_EXISTS'),
    group_members_user_exists: () => userRejected('USER_NOT_FOUND'),
    tokens_user_exists: () => userRejected('USER_NOT_FOUND'),
  },
}

async function applyUser(db: Db, event: UserEvent, at: Recorded<IdentityEvent>['at']) {
  const { userId: user_id } = event
  switch (event.type) {
    case 'UserCreated': {
      const { name, displayName: display_name, kind } = event
      const row = { user_id, name, display_name, kind, disabled: false, created_at: at }
      await db.insertInto('users').values(row).execute()
      return
    }
    case 'UserDisabled':
      await db.updateTable('users').set({ disabled: true }).where('user_id', '=', user_id).execute()
      await endTokens(db, user_id)
      return
    case 'UserEnabled':
      await db
        .updateTable('users')
        .set({ disabled: false })
        .where('user_id', '=', user_id)
        .execute()
      return
    case 'UserDeleted':
      // Memberships and tokens go with the row.
      await db.deleteFrom('users').where('user_id', '=', user_id).execute()
      return
    case 'PasswordSet':
      await endTokens(db, user_id)
  }
}

async function applyGroup(db: Db, event: GroupEvent) {
  const { groupId: group_id } = event
  switch (event.type) {
    case 'GroupCreated': {
      const row = { group_id, name: event.name, platform_role: event.platformRole }
      await db.insertInto('groups').values(row).execute()
      return
    }
    case 'GroupDeleted':
      await db.deleteFrom('groups').where('group_id', '=', group_id).execute()
      return
    case 'GroupMemberAdded': {
      const insert = db.insertInto('group_members').values({ group_id, user_id: event.userId })
      await insert.onConflict((row) => row.doNothing()).execute()
      return
    }
    case 'GroupMemberRemoved':
      await db
        .deleteFrom('group_members')
        .where('group_id', '=', group_id)
        .where('user_id', '=', event.userId)
        .execute()
  }
}

async function applyToken(db: Db, event: TokenEvent, at: string) {
  switch (event.type) {
    case 'TokenIssued': {
      // Ended tokens are forgotten here, so that the table stays small.
      await db.deleteFrom('tokens').where('expires_at', '<=', new Date(at)).execute()
      await db
        .insertInto('tokens')
        .values({
          token_id: event.tokenId,
          user_id: event.userId,
          token_sha256: event.tokenSha256,
          description: event.description,
          issued_at: at,
          expires_at: event.expiresAt,
        })
        .execute()
      return
    }
    case 'TokenRevoked':
      await db.deleteFrom('tokens').where('token_id', '=', event.tokenId).execute()
  }
}

async function endTokens(db: Db, userId: string) {
  await db.deleteFrom('tokens').where('user_id', '=', userId).execute()
}
