import { rejections } from '@postern/errors'
import type { Kysely } from 'kysely'
import type { IdentityDatabase } from '../database.ts'
import { HUMAN } from '../user/user.ts'
import { ADMINISTRATOR } from './group.ts'

const rejected = rejections({
  LAST_ADMINISTRATOR: [
    'failed_precondition',
    'nobody who can sign in with a password would be an administrator any more; make another person one first',
  ],
})

/** What would be taken away. */
type Loss = { userId?: string; groupId?: string }

/**
 * Refuses what would leave nobody able to administer: only enabled people with a password count.
 * Without a group, the user goes from all groups; without a user, the group goes with all members.
 *
 * @throws Rejection LAST_ADMINISTRATOR
 */
export async function refuseLossOfAdministrators(
  db: Kysely<IdentityDatabase>,
  { userId, groupId }: Loss,
): Promise<void> {
  const before = await memberships(db).execute()
  const isLost = (row: (typeof before)[number]) =>
    (userId === undefined || row.user_id === userId) &&
    (groupId === undefined || row.group_id === groupId)
  if (before.some(isLost) && before.every(isLost)) throw rejected('LAST_ADMINISTRATOR')
}

function memberships(db: Kysely<IdentityDatabase>) {
  return db
    .selectFrom('group_members')
    .innerJoin('groups', 'groups.group_id', 'group_members.group_id')
    .innerJoin('users', 'users.user_id', 'group_members.user_id')
    .innerJoin('credentials', 'credentials.user_id', 'users.user_id')
    .where('groups.platform_role', '=', ADMINISTRATOR)
    .where('users.disabled', '=', false)
    .where('users.kind', '=', HUMAN)
    .select(['group_members.group_id', 'group_members.user_id'])
    .limit(10_000)
}
