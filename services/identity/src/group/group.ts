import { rejections } from '@postern/errors'
import type { Decider } from '@postern/eventing'
import { checkName } from '../naming/name-rules.ts'

/** A set of users that grants can name, and what its members may do on Postern itself. */
export type Group =
  | { status: 'absent' | 'deleted' }
  | {
      status: 'active'
      groupId: string
      name: string
      platformRole: PlatformRole
      members: Members
    }

/** The numbers of `postern.identity.events.v1.PlatformRole`. */
export const NO_ROLE = 0
export const ADMINISTRATOR = 1
export const AUDITOR = 2
export type PlatformRole = typeof NO_ROLE | typeof ADMINISTRATOR | typeof AUDITOR

export type GroupCommand =
  | { type: 'CreateGroup'; groupId: string; name: string; platformRole: PlatformRole }
  | { type: 'DeleteGroup' }
  | { type: 'AddGroupMember'; userId: string }
  | { type: 'RemoveGroupMember'; userId: string }

export type GroupEvent =
  | { type: 'GroupCreated'; groupId: string; name: string; platformRole: PlatformRole }
  | { type: 'GroupDeleted'; groupId: string }
  | { type: 'GroupMemberAdded'; groupId: string; userId: string }
  | { type: 'GroupMemberRemoved'; groupId: string; userId: string }

export const GROUP_MEMBERS_MAX = 10_000

export const groupRejected = rejections({
  GROUP_EXISTS: ['already_exists', 'there is a group with this name'],
  GROUP_NOT_FOUND: ['not_found', 'there is no such group'],
  GROUP_FULL: ['resource_exhausted', 'a group has at most 10000 members; use a second group'],
})

export const group: Decider<Group, GroupCommand, GroupEvent> = {
  initial: { status: 'absent' },

  decide(command, state) {
    if (command.type === 'CreateGroup') {
      const { groupId, name, platformRole } = command
      if (state.status === 'active' && state.name === name) {
        // Set-up is retried under the same id until it is complete.
        if (state.platformRole === platformRole) return []
      }
      if (state.status !== 'absent') throw groupRejected('GROUP_EXISTS')
      checkName(name)
      return [{ type: 'GroupCreated', groupId, name, platformRole }]
    }
    if (state.status === 'deleted' && command.type === 'DeleteGroup') return []
    if (state.status !== 'active') throw groupRejected('GROUP_NOT_FOUND')
    const { groupId, members } = state
    switch (command.type) {
      case 'DeleteGroup':
        return [{ type: 'GroupDeleted', groupId }]
      case 'AddGroupMember':
        if (isMember(members, command.userId)) return []
        if (members.size >= GROUP_MEMBERS_MAX) throw groupRejected('GROUP_FULL')
        return [{ type: 'GroupMemberAdded', groupId, userId: command.userId }]
      case 'RemoveGroupMember':
        if (!isMember(members, command.userId)) return []
        return [{ type: 'GroupMemberRemoved', groupId, userId: command.userId }]
    }
  },

  evolve(state, event) {
    switch (event.type) {
      case 'GroupCreated': {
        const { groupId, name, platformRole } = event
        return { status: 'active', groupId, name, platformRole, members: nobody }
      }
      case 'GroupDeleted':
        return { status: 'deleted' }
      case 'GroupMemberAdded':
        if (state.status !== 'active') return state
        return { ...state, members: withMember(state.members, event.userId) }
      case 'GroupMemberRemoved':
        if (state.status !== 'active') return state
        return { ...state, members: withoutMember(state.members, event.userId) }
    }
  },
}

/**
 * Ids of users, immutable. In buckets by the end of the id (its random part), because each event of
 * a long history makes a new set: copying one bucket keeps folding ten thousand members fast.
 */
type Members = { readonly size: number; readonly buckets: ReadonlyMap<string, ReadonlySet<string>> }

const nobody: Members = { size: 0, buckets: new Map() }

const bucketOf = (members: Members, userId: string) =>
  new Set(members.buckets.get(userId.slice(-2)) ?? [])

export function isMember(members: Members, userId: string): boolean {
  return members.buckets.get(userId.slice(-2))?.has(userId) ?? false
}

function withMember(members: Members, userId: string): Members {
  if (isMember(members, userId)) return members
  const bucket = bucketOf(members, userId).add(userId)
  return {
    size: members.size + 1,
    buckets: new Map(members.buckets).set(userId.slice(-2), bucket),
  }
}

function withoutMember(members: Members, userId: string): Members {
  if (!isMember(members, userId)) return members
  const bucket = bucketOf(members, userId)
  bucket.delete(userId)
  return {
    size: members.size - 1,
    buckets: new Map(members.buckets).set(userId.slice(-2), bucket),
  }
}
