import type { Actor, EventStore } from '@postern/eventing'
import { type Id, isId } from '@postern/ids'
import { cutPage, type Page } from '@postern/rpc'
import { type Kysely, sql, type Transaction } from 'kysely'
import type { IdentityDatabase } from '../database.ts'
import type { IdentityEvent } from '../identity-event.ts'
import { refuseLossOfAdministrators } from './administrators.ts'
import { type GroupCommand, group } from './group.ts'

export type GroupRepository = ReturnType<typeof createGroupRepository>
type Needs = {
  store: EventStore<IdentityDatabase, IdentityEvent>
  db: Kysely<IdentityDatabase>
}
type GroupId = Id<'group'>

/** A page ends early where its groups would have more members than this together. */
const MEMBERS_PER_PAGE_MAX = 10_000

export function createGroupRepository({ store, db }: Needs) {
  const execute = async (
    groupId: GroupId,
    command: GroupCommand,
    actor: Actor,
    guard: (db: Transaction<IdentityDatabase>) => Promise<void> = async () => undefined,
  ) => {
    await store.execute({ stream: `group-${groupId}`, decider: group, command, actor, guard })
  }

  return {
    async create(
      order: Omit<GroupCommand & { type: 'CreateGroup' }, 'type'> & { groupId: GroupId },
      actor: Actor,
    ) {
      await execute(order.groupId, { type: 'CreateGroup', ...order }, actor)
    },

    async delete(groupId: GroupId, actor: Actor) {
      await execute(groupId, { type: 'DeleteGroup' }, actor, async (tx) => {
        await refuseLossOfAdministrators(tx, { groupId })
      })
    },

    async addMember(groupId: GroupId, userId: string, actor: Actor) {
      await execute(groupId, { type: 'AddGroupMember', userId }, actor)
    },

    async removeMember(groupId: GroupId, userId: string, actor: Actor) {
      await execute(groupId, { type: 'RemoveGroupMember', userId }, actor, async (tx) => {
        await refuseLossOfAdministrators(tx, { groupId, userId })
      })
    },

    /** By id or by name, whatever its case. */
    async find(reference: string) {
      const groups = db.selectFrom('groups').selectAll()
      return await (isId(reference)
        ? groups.where('group_id', '=', reference)
        : groups.where(sql`lower(name)`, '=', reference.toLowerCase())
      ).executeTakeFirst()
    },

    /** Groups by name, with how many members each has. */
    async list(page: Page) {
      const groups = await db
        .selectFrom('groups')
        .select((row) => [
          'groups.group_id',
          'groups.name',
          'groups.platform_role',
          row
            .selectFrom('group_members')
            .whereRef('group_members.group_id', '=', 'groups.group_id')
            .select(sql<number>`count(*)::int`.as('members'))
            .as('members'),
        ])
        .where(sql<string>`lower(name)`, '>', page.after)
        .orderBy(sql`lower(name)`)
        .limit(page.limit + 1)
        .execute()
      const limit = Math.min(page.limit, countThatFits(groups.map(({ members }) => members ?? 0)))
      return cutPage(groups, { ...page, limit }, ({ name }) => name.toLowerCase())
    },

    /** Names of the members of each of the groups, sorted. */
    async memberNames(groupIds: readonly string[]): Promise<Map<string, string[]>> {
      const names = new Map(groupIds.map((groupId) => [groupId, [] as string[]]))
      if (groupIds.length === 0) return names
      const rows = await db
        .selectFrom('group_members')
        .innerJoin('users', 'users.user_id', 'group_members.user_id')
        .where('group_members.group_id', 'in', [...groupIds])
        .select(['group_members.group_id', 'users.name'])
        .orderBy('users.name')
        .execute()
      for (const { group_id, name } of rows) names.get(group_id)?.push(name)
      return names
    },
  }
}

/** How many of the first groups have at most the allowed members together; at least one. */
function countThatFits(members: readonly number[]): number {
  let sum = 0
  const tooMany = members.findIndex((count) => {
    sum += count
    return sum > MEMBERS_PER_PAGE_MAX
  })
  return tooMany === -1 ? members.length : Math.max(1, tooMany)
}
