import { rejections } from '@postern/errors'
import { type Id, isId, newId, parseId } from '@postern/ids'
import { PlatformRole } from '@postern/proto/postern/identity/events/v1/events'
import { GroupServiceDefinition } from '@postern/proto/postern/identity/v1/group'
import { parsePage, register } from '@postern/rpc'
import { resolveUser } from '../user/user-reference.ts'
import type { UserRepository } from '../user/user-repository.ts'
import {
  ADMINISTRATOR,
  AUDITOR,
  groupRejected,
  NO_ROLE,
  type PlatformRole as Role,
} from './group.ts'
import type { GroupRepository } from './group-repository.ts'

const rejected = rejections({
  INVALID_PLATFORM_ROLE: [
    'invalid_argument',
    'the platform role of a group is ADMINISTRATOR, AUDITOR or none',
  ],
})

type Needs = { groups: GroupRepository; users: UserRepository }

export function createGroupRpc({ groups, users }: Needs) {
  async function toGroups(rows: readonly Row[]) {
    const members = await groups.memberNames(rows.map(({ group_id }) => group_id))
    return rows.map((row) => ({
      id: row.group_id,
      name: row.name,
      platformRole: toProtoRole(row.platform_role),
      members: members.get(row.group_id) ?? [],
    }))
  }

  async function show(reference: string) {
    const row = await groups.find(reference)
    if (row === undefined) throw groupRejected('GROUP_NOT_FOUND')
    const [shown] = await toGroups([row])
    return { group: shown }
  }

  async function resolve(reference: string): Promise<Id<'group'>> {
    if (isId(reference)) return parseId('group', reference)
    const found = await groups.find(reference)
    if (found === undefined) throw groupRejected('GROUP_NOT_FOUND')
    return parseId('group', found.group_id)
  }

  return register(GroupServiceDefinition, {
    async createGroup({ name, platformRole }, { call }) {
      const groupId = newId('group')
      const order = { groupId, name, platformRole: parsePlatformRole(platformRole) }
      await groups.create(order, call.actor)
      return await show(groupId)
    },

    async listGroups(request) {
      const { rows, nextPageToken } = await groups.list(parsePage(request))
      return { groups: await toGroups(rows), nextPageToken }
    },

    getGroup: async (request) => await show(request.group),

    async deleteGroup(request, { call }) {
      await groups.delete(await resolve(request.group), call.actor)
      return {}
    },

    async addGroupMember(request, { call }) {
      const groupId = await resolve(request.group)
      await groups.addMember(groupId, await resolveUser(users, request.user), call.actor)
      return {}
    },

    async removeGroupMember(request, { call }) {
      const groupId = await resolve(request.group)
      await groups.removeMember(groupId, await resolveUser(users, request.user), call.actor)
      return {}
    },
  })
}

type Row = { group_id: string; name: string; platform_role: number }

function parsePlatformRole(role: PlatformRole): Role {
  switch (role) {
    case PlatformRole.PLATFORM_ROLE_UNSPECIFIED:
      return NO_ROLE
    case PlatformRole.PLATFORM_ROLE_ADMINISTRATOR:
      return ADMINISTRATOR
    case PlatformRole.PLATFORM_ROLE_AUDITOR:
      return AUDITOR
    case PlatformRole.UNRECOGNIZED:
      break
  }
  // Any other number that came over the wire, too.
  throw rejected('INVALID_PLATFORM_ROLE')
}

function toProtoRole(role: number): PlatformRole {
  if (role === ADMINISTRATOR) return PlatformRole.PLATFORM_ROLE_ADMINISTRATOR
  if (role === AUDITOR) return PlatformRole.PLATFORM_ROLE_AUDITOR
  return PlatformRole.PLATFORM_ROLE_UNSPECIFIED
}
